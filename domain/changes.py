"""A change: what a person does to a message, or to their own state. It goes the way of a message."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
from msgspec import Raw, Struct

from domain.entries import OwnType, RecordType
from domain.ids import ConversationId, UserId

_encode = msgspec.json.Encoder().encode


class Change(Struct, frozen=True):
    """What is asked for.

    `name` makes it one of its kind: a change of the same type with the same name, in the same conversation,
    is a repetition. `target` is the seq of the message that it changes; 0 for own state. `value` is JSON, and
    `asked` is what a repetition is compared by if the value has more than was asked for.
    """

    type: RecordType | OwnType
    conversation_id: ConversationId
    sender_id: UserId
    name: str
    target: int = 0
    value: Raw = Raw(b"null")
    asked: Raw | None = None

    def key(self) -> bytes:
        """16 bytes that name this change within its conversation. No message has them."""
        return hashlib.blake2b(f"\0{self.type}\0{self.name}".encode(), digest_size=16).digest()

    def content_hash(self) -> bytes:
        """16 bytes over what is asked for; the order of fields and white space do not matter."""
        asked = self.value if self.asked is None else self.asked
        value = json.dumps(json.loads(bytes(asked)), sort_keys=True)
        return hashlib.blake2b(f"{self.target}\0{value}".encode(), digest_size=16).digest()

    def encode(self, at: str) -> bytes:
        """What the store keeps of it."""
        return _encode(Kept(at, self.sender_id, self.value))


class Kept(Struct, frozen=True):
    """What the store keeps of a change: when, by whom, and what."""

    at: str
    by: UserId
    value: Raw


class Edited(Struct, frozen=True, omit_defaults=True):
    """The value of an edit. `mentions` None: none were asked for. The store has those that hold then."""

    body: Raw
    mentions: list[str] | None = None


class Marked(Struct, frozen=True, omit_defaults=True):
    """The value of a read mark. `seq` None: the conversation is marked as unread."""

    conversation_id: ConversationId
    seq: int | None = None


class Settings(Struct, frozen=True):
    """The value of a change of settings: the fields that are set, by name."""

    conversation_id: ConversationId
    fields: dict[str, Any]


_kept = msgspec.json.Decoder(Kept).decode


def kept_of(encoded: bytes) -> Kept:
    return _kept(encoded)
