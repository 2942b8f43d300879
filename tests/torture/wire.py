"""Frames and pages as they come, and what makes an entry the entry that it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from tests.torture.facts import Got, digest

FIXED = ("message_id", "conversation_id", "seq", "sender_id", "client_message_id", "kind", "sent_at")
"""What a message keeps, whatever happens to it."""

SENT = ("body", "reply_to", "forward_of", "mentions")
"""What it keeps until it is edited or recalled."""

Value = dict[str, Any]


def got(seq: int, type_: str, value: Value) -> Got:
    """An entry as what the checks compare: which one it is, and what was sent if nothing has changed that."""
    if type_ != "message":
        return Got(seq, digest(name_of(type_, value).encode()))
    fixed = [value.get(name) for name in FIXED]
    sent = [] if "rev" in value or "recalled" in value else [value.get(name) for name in SENT]
    return Got(seq, _digest(fixed), _digest(sent) if sent else 0)


def name_of(type_: str, value: Value) -> str:
    """The message or the conversation that an entry of another type is about."""
    return f"{type_} {value.get('message_id') or value['conversation_id']}"


def carried(seq: int, raw: bytes) -> Got:
    """The same of an element of a ring."""
    value = json.loads(raw)
    type_ = value.get("type", "message")
    return got(seq, type_, value if type_ == "message" else value[type_])


def _digest(values: list[Any]) -> int:
    return digest(json.dumps(values, sort_keys=True).encode())


class Entry(Struct):
    seq: int
    type: str
    message: Value = {}
    edit: Value = {}
    recall: Value = {}
    reactions: Value = {}
    pin: Value = {}
    read: Value = {}
    receipt: Value = {}
    settings: Value = {}
    hidden: Value = {}

    @property
    def value(self) -> Value:
        value: Value = getattr(self, self.type)
        return value

    def got(self) -> Got:
        return got(self.seq, self.type, self.value)

    @property
    def name(self) -> str:
        """The client_message_id of a message."""
        return str(self.message.get("client_message_id", ""))


class Frame(Struct):
    type: str
    ref: int | None = None
    entries: list[Entry] = []
    message_id: str = ""
    error: dict[str, Any] = {}


class Page(Struct):
    entries: list[Entry]
    cursor: int
    head: int
    more: bool


decode_frame = msgspec.json.Decoder(Frame).decode
decode_page = msgspec.json.Decoder(Page).decode
