"""What is known when all is quiet: what people saw, and what the stores hold. The checker's only input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.replica import Replica

Place = tuple[str, int]
"""A conversation and a seq."""
FOR_EVER = 2**53


def digest(message: bytes) -> int:
    """Stands for the bytes of a message."""
    return int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big")


class Got(NamedTuple):
    """An entry as it was received, pulled, or read from a ring. `message` is the digest of what it keeps for
    ever, and `sent` of what it keeps until it is edited or recalled. Then `sent` is 0.
    """

    seq: int
    message: int
    sent: int = 0

    def fits(self, other: Got) -> bool:
        """Whether both are the same entry; the content of one that was changed may be another."""
        same = (self.seq, self.message) == (other.seq, other.message)
        return same and (self.sent == other.sent or 0 in (self.sent, other.sent))


@dataclass
class Sending:
    """One client_message_id: what was asked, when it was first tried, and every answer."""

    name: str
    conversation_id: str
    sender: str
    text: str
    begun_at: float
    answers: list[tuple[float, str]] = field(default_factory=list)
    """When, and the message_id."""
    refused: str = ""
    """The code of an error that is not retriable."""
    refused_at: float = FOR_EVER
    unanswered: bool = False
    """Repeated until the end, never answered."""

    @property
    def acknowledged_at(self) -> float | None:
        return self.answers[0][0] if self.answers else None


class Changing(NamedTuple):
    """A join or a leave as whoever asked for it saw it: it took effect between the two times.

    `maybe`: a try without an answer, which may take effect late, or never.
    """

    conversation_id: str
    user: str
    join: bool
    begun_at: float
    ended_at: float
    maybe: bool = False


@dataclass
class Connection:
    """A socket from its welcome to its end, or one pull: what came after the cursor that was given."""

    user: str
    device: str
    api: str
    at: float
    cursor: int
    entries: list[Got] = field(default_factory=list)


class Pulled(NamedTuple):
    """Everything from cursor 0, with one size of page."""

    user: str
    limit: int
    entries: list[Got]


class StoredMessage(NamedTuple):
    sender: str
    client_message_id: str
    message_id: str
    text: str
    message: int
    sent: int = 0
    recalled: bool = False
    edits: tuple[int, ...] = ()
    """The revs of the edits that are in effect."""
    hidden_for: tuple[str, ...] = ()
    registers: int = 0
    """The digest of all that has changed it."""


class StoredChange(NamedTuple):
    """An edit, a recall and so on, or a change of a user's own state. `target` is the seq of a message."""

    type: str
    target: int
    message: int
    sent: int = 0


@dataclass
class Acting:
    """One thing that somebody did beside sending: what was asked, and what came of it."""

    kind: str
    user: str
    conversation_id: str
    message_id: str
    asked: Any
    begun_at: float
    answer: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    """Answered with success."""
    refused: str = ""
    """The code of an error that is not retriable."""
    unanswered: bool = False
    """Repeated until the end, never answered."""


class View(NamedTuple):
    """What the reads answer to a user about one conversation."""

    me: dict[str, Any]
    messages: dict[str, dict[str, Any]]
    pins: list[str]


class Row(NamedTuple):
    """A row that is still in the outbox."""

    row_id: str
    places: tuple[Place, ...]


@dataclass
class Facts:
    sendings: list[Sending] = field(default_factory=list)
    changings: list[Changing] = field(default_factory=list)
    first_members: dict[str, set[str]] = field(default_factory=dict)
    """Conversation → who was in it from the beginning."""
    connections: list[Connection] = field(default_factory=list)
    devices: dict[tuple[str, str], int] = field(default_factory=dict)
    """User and device → its cursor at the end."""
    pulls: list[Pulled] = field(default_factory=list)
    complaints: list[tuple[float, str]] = field(default_factory=list)
    """What a client was told, or saw, that must never be."""
    acts: list[Acting] = field(default_factory=list)
    replicas: dict[tuple[str, str], Replica] = field(default_factory=dict)
    """What each device knows at the end, by the entries that it was given."""
    views: dict[str, dict[str, View]] = field(default_factory=dict)
    """User and conversation → what the reads answer at the end."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """Where texts were looked for at the end → the client_message_ids of those that stood there."""
    messages: dict[Place, StoredMessage] = field(default_factory=dict)
    changes: dict[Place, StoredChange] = field(default_factory=dict)
    untold: int = 0
    """Messages whose reactions changed and were not told yet."""
    windows: dict[str, dict[str, list[tuple[int, int]]]] = field(default_factory=dict)
    """Conversation → user → from which seq on they are in, and from which on no more."""
    timelines: dict[str, list[tuple[int, Place]]] = field(default_factory=dict)
    rings: dict[str, list[Got]] = field(default_factory=dict)
    """Absent: no ring."""
    ring_ends: dict[str, int] = field(default_factory=dict)
    """The number of a ring's last entry, or where an empty ring stands."""
    raw_rings: dict[str, list[bytes]] = field(default_factory=dict)
    capacity: int = 0
    dead_letters: list[str] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    lag: dict[str, int] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    """What had not come to rest in time."""

    def entry(self, place: Place) -> tuple[int, int] | None:
        """The digests of the message or the change at a place, as in `Got`; None if there is none."""
        stored = self.messages.get(place) or self.changes.get(place)
        return (stored.message, stored.sent) if stored else None

    def recipients(self, place: Place) -> set[str]:
        """A change of a message goes to those whose stays hold it and the message."""
        conversation, seq = place
        if conversation.startswith("u:"):
            return {conversation.removeprefix("u:")}
        change = self.changes.get(place)
        held = self._held(conversation, seq)
        return held & self._held(conversation, change.target) if change else held

    def _held(self, conversation: str, seq: int) -> set[str]:
        stays = self.windows.get(conversation, {})
        return {user for user, some in stays.items() if any(low <= seq < high for low, high in some)}

    def always_there(self, conversation: str) -> set[str]:
        """Who was a member from the first message on, and still is."""
        stays = self.windows.get(conversation, {})
        return {user for user, some in stays.items() if some == [(1, FOR_EVER)]}


class Violation(NamedTuple):
    """A promise that was not kept. `rule` names it; `place` and `user` say where to look."""

    rule: str
    said: str
    user: str = ""
    place: Place | None = None
    at: float | None = None
