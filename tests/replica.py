"""What a device knows, built only from the entries that it was given, by the rules of the contract. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from infra.mongo.unread import MOST

SETTINGS = ("pinned", "archived", "muted_until", "draft", "cleared_seq")
NOTHING_SET: dict[str, Any] = {
    "pinned": False,
    "archived": False,
    "muted_until": None,
    "draft": None,
    "cleared_seq": 0,
}


def conversation_of(message_id: str) -> str:
    return message_id.rpartition(":")[0]


def seq_of(message_id: str) -> int:
    return int(message_id.rpartition(":")[2])


def plain(reactions: dict[str, Any]) -> dict[str, Any]:
    """Reactions without `mine`, which entries do not have."""
    return {key: (one["count"], one["by"]) for key, one in reactions.items()}


@dataclass
class Held:
    """One message. A register takes a higher `rev` only, and a recall is final."""

    message_id: str
    sender: str = ""
    text: str | None = None
    """None before the message has come, and after its recall."""
    rev: int = -1
    recalled: bool = False
    reactions: dict[str, Any] = field(default_factory=dict)
    reactions_rev: int = 0
    pinned: bool = False
    pin_rev: int = 0
    mentions: list[str] = field(default_factory=list)

    def take_message(self, message: dict[str, Any]) -> None:
        self.sender = message["sender_id"]
        if self.recalled:
            return
        if "recalled" in message:
            self.recalled, self.text, self.mentions = True, None, []
            self.reactions, self.pinned = {}, False
            return
        if (rev := message.get("rev", 0)) > self.rev:
            self.rev, self.text = rev, message["body"]["text"]
            self.mentions = message.get("mentions", [])
        if not self.reactions_rev:
            self.reactions = plain(message.get("reactions", {}))
        if not self.pin_rev:
            self.pinned = message.get("pinned", False)

    def take_reactions(self, now: dict[str, Any]) -> None:
        if not self.recalled and now["rev"] >= self.reactions_rev:
            self.reactions, self.reactions_rev = plain(now["reactions"]), now["rev"]

    def take_pin(self, now: dict[str, Any]) -> None:
        if not self.recalled and now["rev"] >= self.pin_rev:
            self.pinned, self.pin_rev = now["pinned"], now["rev"]

    @property
    def shown(self) -> dict[str, Any]:
        """What a person sees of it."""
        return {
            "text": self.text,
            "rev": max(self.rev, 0) if not self.recalled else None,
            "recalled": self.recalled,
            "reactions": self.reactions,
            "pinned": self.pinned,
            "mentions": self.mentions,
        }


def shown(message: dict[str, Any]) -> dict[str, Any]:
    """The same of a message that a read answered."""
    held = Held(message["message_id"])
    held.take_message(message)
    return held.shown


class Replica:
    """Entries may come again, and in any order that inboxes have."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.messages: dict[str, Held] = {}
        self.hidden: set[str] = set()
        self.receipts: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
        """Conversation and the other one → how far they have read, and how far a device of theirs is."""
        self._read: dict[str, int] = defaultdict(int)
        self._marked: dict[str, tuple[int, bool]] = {}
        self._settings: dict[str, tuple[int, dict[str, Any]]] = {}

    def take(self, type_: str, value: dict[str, Any]) -> None:
        """One entry. Types that it does not know are ignored."""
        match type_:
            case "message" | "edit" | "recall":
                self._held(value).take_message(value)
            case "reactions":
                self._held(value).take_reactions(value)
            case "pin":
                self._held(value).take_pin(value)
            case "hidden":
                self.hidden.add(value["message_id"])
            case "read":
                self._take_read(value)
            case "receipt":
                place = value["conversation_id"], value["user_id"]
                read, delivered = self.receipts[place]
                told = value.get("read_seq", 0), value.get("delivered_seq", 0)
                self.receipts[place] = max(read, told[0]), max(delivered, told[1])
            case "settings":
                self._take_settings(value)

    def _held(self, value: dict[str, Any]) -> Held:
        return self.messages.setdefault(value["message_id"], Held(value["message_id"]))

    def _take_read(self, now: dict[str, Any]) -> None:
        conversation = now["conversation_id"]
        self._read[conversation] = max(self._read[conversation], now["read_seq"])
        if now["rev"] >= self._marked.get(conversation, (0, False))[0]:
            self._marked[conversation] = now["rev"], now["marked_unread"]

    def _take_settings(self, now: dict[str, Any]) -> None:
        conversation = now["conversation_id"]
        if now["rev"] >= self._settings.get(conversation, (0, {}))[0]:
            self._settings[conversation] = now["rev"], {k: now[k] for k in SETTINGS if k in now}

    # ------------------------------------------------------------ what it shows

    def me(self, conversation: str) -> dict[str, Any]:
        """Its own part in a conversation, as `me` of the reads."""
        settings = NOTHING_SET | self._settings.get(conversation, (0, {}))[1]
        return {
            "read_seq": self._read[conversation],
            "marked_unread": self._marked.get(conversation, (0, False))[1],
            "unread": min(MOST, self._unread(conversation, settings["cleared_seq"])),
            **settings,
        }

    def history(self, conversation: str) -> dict[str, dict[str, Any]]:
        """Message id → what is shown, without what is hidden or cleared."""
        cleared = self.me(conversation)["cleared_seq"]
        return {one.message_id: one.shown for one in self._of(conversation, cleared)}

    def pins(self, conversation: str) -> list[str]:
        """The pinned messages, the one pinned last first."""
        cleared = self.me(conversation)["cleared_seq"]
        pinned = [one for one in self._of(conversation, cleared) if one.pinned]
        return [one.message_id for one in sorted(pinned, key=lambda one: one.pin_rev, reverse=True)]

    def _of(self, conversation: str, cleared: int) -> list[Held]:
        return [
            one
            for name, one in self.messages.items()
            if one.sender
            and conversation_of(name) == conversation
            and seq_of(name) > cleared
            and name not in self.hidden
        ]

    def _unread(self, conversation: str, cleared: int) -> int:
        """Messages of others behind the mark."""
        return sum(
            one.sender != self.user and not one.recalled and seq_of(one.message_id) > self._read[conversation]
            for one in self._of(conversation, cleared)
        )
