"""An entry of an inbox: its number there, and the bytes of what it carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Entry(NamedTuple):
    """`seq` is the number in the inbox, `message` the encoded message."""

    seq: int
    message: bytes


def encode_entry(entry: Entry) -> bytes:
    """`{"seq":5,"type":"message","message":{…}}`."""
    return b'{"seq":%d,"type":"message","message":%b}' % entry


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """A JSON array of entries."""
    return b"[" + b",".join(map(encode_entry, entries)) + b"]"
