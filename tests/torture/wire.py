"""Frames and pages as they come, messages undecoded: what counts is their bytes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tests.torture.facts import Got, digest


class _Message(Struct):
    client_message_id: str


class Entry(Struct):
    seq: int
    message: Raw

    def got(self) -> Got:
        return Got(self.seq, digest(bytes(self.message)))

    @property
    def name(self) -> str:
        """The client_message_id."""
        return _message.decode(self.message).client_message_id


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


_message = msgspec.json.Decoder(_Message)
decode_frame = msgspec.json.Decoder(Frame).decode
decode_page = msgspec.json.Decoder(Page).decode
