"""A message as it is now: as it was sent, with what changed it since.

A message has a register for its content, its reactions and its pin. Each register has a revision, the seq of
the record that set it. The higher one wins, so the order in which records arrive does not matter. A recall
is final.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from domain.ids import ConversationId, UserId
from domain.messages import Forward, Kind

SHOWN_REACTORS = 20
"""The most users that are named for a reaction. The count has all of them."""


class Edit(Struct, frozen=True):
    """The content that an edit gave. `revs` are all edits."""

    rev: int
    body: bytes
    at: str
    mentions: Sequence[str]
    revs: Sequence[int]


class Recall(Struct, frozen=True):
    rev: int
    by: UserId
    at: str


class Pin(Struct, frozen=True):
    rev: int
    on: bool
    by: UserId


Reactors = Sequence[tuple[str, Sequence[UserId]]]
"""Each key with the users who reacted so, in the order in which they did."""


class Reactions(Struct, frozen=True):
    rev: int
    by_key: Reactors


class Registers(Struct, frozen=True):
    """What changed a message. None: nothing did."""

    edit: Edit | None = None
    recall: Recall | None = None
    reactions: Reactions | None = None
    pin: Pin | None = None


UNCHANGED = Registers()


class Recalled(Struct, frozen=True):
    """Who recalled a message, and when."""

    by: UserId
    at: str


class Reaction(Struct, frozen=True):
    """A reaction: how many users gave it, and the first of them."""

    count: int
    by: list[UserId]
    mine: bool | UnsetType = UNSET


class Shown(Struct, frozen=True, kw_only=True):
    """A message as clients see it. What does not apply is absent.

    `rev` and `recalled` stand in front: `lua/replace.lua` and `domain/entries.py` look for them there.
    """

    rev: int | UnsetType = UNSET
    recalled: Recalled | UnsetType = UNSET
    message_id: str
    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    client_message_id: str
    kind: Kind
    body: Raw
    sent_at: str
    edited_at: str | UnsetType = UNSET
    reply_to: str | UnsetType = UNSET
    forward_of: Forward | UnsetType = UNSET
    mentions: Sequence[str] | UnsetType = UNSET
    reactions: Mapping[str, Reaction] | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET


_shown = msgspec.json.Decoder(Shown).decode
_encode = msgspec.json.Encoder().encode


def shown(message: bytes, registers: Registers, viewer: UserId | None = None) -> bytes:
    """The message as it is now, encoded. For a viewer it says which reactions are theirs."""
    if registers == UNCHANGED:
        return message
    return _encode(as_now(message, registers, viewer))


def as_now(message: bytes, registers: Registers, viewer: UserId | None = None) -> Shown:
    now = _shown(message)
    edit, recall = registers.edit, registers.recall
    if recall is not None:
        rev = max(recall.rev, edit.rev if edit else 0)
        return Shown(
            rev=rev,
            recalled=Recalled(recall.by, recall.at),
            message_id=now.message_id,
            conversation_id=now.conversation_id,
            seq=now.seq,
            sender_id=now.sender_id,
            client_message_id=now.client_message_id,
            kind=now.kind,
            body=Raw(b"{}"),
            sent_at=now.sent_at,
        )
    if edit is not None:
        mentions = list(edit.mentions) or UNSET
        now = replace(now, rev=edit.rev, body=Raw(edit.body), edited_at=edit.at, mentions=mentions)
    if registers.reactions is not None:
        now = replace(now, reactions=reactions_of(registers.reactions.by_key, viewer) or UNSET)
    if registers.pin is not None and registers.pin.on:
        now = replace(now, pinned=True)
    return now


def reactions_of(by_key: Reactors, viewer: UserId | None = None) -> dict[str, Reaction]:
    return {
        key: Reaction(len(users), list(users[:SHOWN_REACTORS]), True if viewer in users else UNSET)
        for key, users in by_key
        if users
    }


class ReactionsNow(Struct, frozen=True):
    """What an entry of the type `reactions` carries."""

    message_id: str
    rev: int
    reactions: Mapping[str, Reaction]


class PinNow(Struct, frozen=True):
    """What an entry of the type `pin` carries."""

    message_id: str
    rev: int
    pinned: bool
    by: UserId


def reactions_now(message_id: str, registers: Registers, rev: int) -> bytes:
    """Without any after a recall. `rev` stands for a register that nothing has set."""
    found = registers.reactions
    if found is None or registers.recall is not None:
        return _encode(ReactionsNow(message_id, max(rev, found.rev if found else 0), {}))
    return _encode(ReactionsNow(message_id, max(rev, found.rev), reactions_of(found.by_key)))


def pin_now(message_id: str, registers: Registers, rev: int, by: UserId) -> bytes:
    """Not pinned after a recall. `rev` and `by` stand for a register that nothing has set."""
    pin = registers.pin
    if pin is None or registers.recall is not None:
        return _encode(PinNow(message_id, max(rev, pin.rev if pin else 0), False, pin.by if pin else by))
    return _encode(PinNow(message_id, pin.rev, pin.on, pin.by))
