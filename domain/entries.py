"""An entry of an inbox: its number there, and the bytes of what it carries.

A message is carried as it is. Everything else is carried as `{"type":"edit","edit":{…}}`, so the bytes say
what they are: whoever forwards them need not decode them, and versions that know only messages keep them
whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

RecordType = Literal["edit", "recall", "reactions", "pin"]
"""Changes of a message. They have a seq of its conversation and go to its members."""

OwnType = Literal["read", "receipt", "settings", "hidden"]
"""News of a user's own state. They have a seq in the user's own space, and go to this user alone."""

RECORD_TYPES: frozenset[str] = frozenset(get_args(RecordType))
OWN_TYPES: frozenset[str] = frozenset(get_args(OwnType))

_TYPED = b'{"type":'
_MESSAGE_ID = b'"message_id":"'
_CONTENT = (b'{"type":"edit",', b'{"type":"recall",')
_CHANGED = b'{"rev":'


class Entry(NamedTuple):
    """`seq` is the number in the inbox, `message` the encoded message, or what an entry of another type
    carries.
    """

    seq: int
    message: bytes


def typed(type_: str, value: bytes) -> bytes:
    """What an entry of this type carries."""
    name = type_.encode()
    return b'{"type":"%b","%b":%b}' % (name, name, value)


def is_message(carried: bytes) -> bool:
    """Whether an entry carries a message. What others carry begins with their type."""
    return not carried.startswith(_TYPED)


def conversation_of(carried: bytes) -> bytes:
    """The conversation of the message that an entry carries, without decoding it. Empty if it carries none.

    No text of a person stands in front of the message's own id.
    """
    start = carried.find(_MESSAGE_ID) + len(_MESSAGE_ID)
    if not is_message(carried) or start < len(_MESSAGE_ID):
        return b""
    return carried[start : carried.rindex(b":", start, carried.index(b'"', start))]


def changes_content(carried: bytes) -> bool:
    """Whether this is an edit or a recall. Both carry the whole message as it is now."""
    return carried.startswith(_CONTENT)


def has_new_content(carried: bytes) -> bool:
    """Whether this carries a message that is not as it was sent: an edit, a recall, or the message itself."""
    return carried.startswith((*_CONTENT, _CHANGED))


def carried_message(carried: bytes) -> bytes:
    """The message within an entry of the type `message`, `edit` or `recall`, without decoding it."""
    return carried if is_message(carried) else carried[carried.index(b'":{') + 2 : -1]


def with_message(carried: bytes, message: bytes) -> bytes:
    """The same entry of the type `message`, `edit` or `recall` with another message."""
    return message if is_message(carried) else carried[: carried.index(b'":{') + 2] + message + b"}"


def encode_entry(entry: Entry) -> bytes:
    """`{"seq":5,"type":"message","message":{…}}`."""
    if entry.message.startswith(_TYPED):
        return b'{"seq":%d,%b' % (entry.seq, entry.message[1:])
    return b'{"seq":%d,"type":"message","message":%b}' % entry


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """A JSON array of entries."""
    return b"[" + b",".join(map(encode_entry, entries)) + b"]"
