"""What everybody should see of conversations in which one thing happens after the other. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.replica import NOTHING_SET

MOST_REACTIONS = 3
"""Of one user to one message."""


@dataclass
class Spoken:
    """One message. `versions` are its texts, the present one last."""

    message_id: str
    seq: int
    sender: str
    name: str
    versions: list[str]
    mentions: list[str] = field(default_factory=list)
    forwarded: bool = False
    recalled: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    pinned_at: int = 0
    """Its place among all pins of the conversation; 0 if it is not pinned."""

    @property
    def given(self) -> dict[str, Any]:
        """Each reaction with its count and who gave it, as `Replica` has it."""
        return {key: (len(users), users) for key, users in self.reactions.items() if users}

    def react(self, user: str, key: str, *, on: bool) -> None:
        given = self.reactions.setdefault(key, [])
        if on and user not in given:
            given.append(user)
        elif not on and user in given:
            given.remove(user)
        if not given:
            del self.reactions[key]

    @property
    def shown(self) -> dict[str, Any]:
        return {
            "text": None if self.recalled else self.versions[-1],
            "recalled": self.recalled,
            "reactions": {} if self.recalled else self.given,
            "pinned": bool(self.pinned_at) and not self.recalled,
            "mentions": [] if self.recalled else self.mentions,
        }


@dataclass
class Part:
    """One user's own state."""

    read_seq: int = 0
    marked_unread: bool = False
    hidden: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=lambda: dict(NOTHING_SET))


class Talk:
    """A conversation. The first member owns it, if it is a group."""

    def __init__(self, conversation_id: str, members: tuple[str, ...]) -> None:
        self.conversation_id = conversation_id
        self.members = members
        self.group = conversation_id.startswith("g:")
        self.messages: dict[str, Spoken] = {}
        self.parts: dict[str, Part] = defaultdict(Part)
        self.numbers = itertools.count()
        self._pins = 0

    def sees(self, user: str, spoken: Spoken) -> bool:
        part = self.parts[user]
        return spoken.message_id not in part.hidden and spoken.seq > part.settings["cleared_seq"]

    def visible(self, user: str) -> list[Spoken]:
        return [one for one in self.messages.values() if self.sees(user, one)]

    def pin(self, spoken: Spoken, *, on: bool) -> None:
        """What is pinned already keeps its place."""
        if on != bool(spoken.pinned_at):
            self._pins += 1
            spoken.pinned_at = self._pins if on else 0

    # ------------------------------------------------------------ what everybody should see

    def history(self, user: str) -> dict[str, dict[str, Any]]:
        return {one.message_id: one.shown for one in self.visible(user)}

    def pins(self, user: str) -> list[str]:
        pinned = [one for one in self.visible(user) if one.pinned_at and not one.recalled]
        return [one.message_id for one in sorted(pinned, key=lambda one: one.pinned_at, reverse=True)]

    def me(self, user: str) -> dict[str, Any]:
        part = self.parts[user]
        unread = [
            one
            for one in self.visible(user)
            if one.sender != user and not one.recalled and one.seq > part.read_seq
        ]
        return {
            "read_seq": part.read_seq,
            "marked_unread": part.marked_unread,
            "unread": len(unread),
            **part.settings,
        }

    def mentions(self, user: str) -> int:
        """How many unread messages mention the user."""
        part = self.parts[user]
        return sum(
            one.sender != user and not one.recalled and one.seq > part.read_seq and user in one.mentions
            for one in self.visible(user)
        )
