"""The frames of a socket and its close codes. 4000–4499: reconnect with the cursor; 4500–4999: do not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Raw, Struct

from api.errors import error_body
from api.views import AnyConversationId, SendMessage, SentAt, Seq
from api.views_people import WatchedIds
from domain import numbers
from domain.entries import Entry, encode_entries
from domain.errors import Overloaded, RingpostError
from domain.limits import REF_CHARACTERS
from domain.messages import Sent
from domain.signals import DATA_BYTES, NO_DATA, SIGNAL_CHARACTERS


class Close(IntEnum):
    """A close code, with the reason that goes with it."""

    reason: str

    def __new__(cls, code: int, reason: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.reason = reason
        return member

    GOING_AWAY = 4000, "going away"
    SLOW = 4001, "slow, pull again"
    HEARTBEAT_MISSED = 4002, "heartbeat missed"
    BAD_FRAME = 4500, "bad frame"
    UNAUTHENTICATED = 4501, "unauthenticated"
    SIGNED_OUT = 4502, "signed out"
    NO_HELLO = 4503, "no hello"
    REPLACED = 4504, "replaced by a newer connection of this device"


Ref = Annotated[
    Annotated[str, Meta(max_length=REF_CHARACTERS)] | int,
    Meta(description="The client's own name for the frame; comes back with the answer."),
]


SIGNAL_DATA = f"Your own JSON object, {DATA_BYTES} bytes at the most."
_OBJECT = {"anyOf": [{"type": "object"}, {"type": "null"}]}


class Hello(Struct, forbid_unknown_fields=True, tag_field="type", tag="hello"):
    """The first frame of a connection."""

    token: Annotated[
        str | None, Meta(description="The token, if no header has it. A browser gives it here.")
    ] = None
    cursor: Annotated[
        Seq | None,
        Meta(description="The cursor of the device. Without it the acknowledged one counts."),
    ] = None


class Send(SendMessage, forbid_unknown_fields=True, tag_field="type", tag="send", kw_only=True):
    """A message to a user (`to`) or into a conversation (`conversation_id`), as for `POST /v1/messages`."""

    ref: Ref


class Ack(Struct, forbid_unknown_fields=True, tag_field="type", tag="ack"):
    """The device has everything up to this entry. It has no answer."""

    cursor: Annotated[Seq, Meta(description="The number of the last entry that the device has.")]


class Ping(Struct, forbid_unknown_fields=True, tag_field="type", tag="ping"):
    """Asks for a `pong`."""

    ref: Ref | None = None


class Say(Struct, forbid_unknown_fields=True, tag_field="type", tag="signal"):
    """Tells the members of a conversation who are connected that somebody is typing, or the like."""

    conversation_id: AnyConversationId
    signal: Annotated[
        str, Meta(min_length=1, max_length=SIGNAL_CHARACTERS, description="Your own word, such as `typing`.")
    ]
    data: Annotated[Raw, Meta(description=SIGNAL_DATA, extra_json_schema=_OBJECT)] = msgspec.field(
        default_factory=lambda: NO_DATA
    )


class Watch(Struct, forbid_unknown_fields=True, tag_field="type", tag="watch"):
    """Asks who is online, and to be told of changes. It replaces the users that were watched before."""

    user_ids: WatchedIds


ClientFrame = Hello | Send | Ack | Ping | Say | Watch

PASSING = ("signal", "watch")
"""Types of frames that may be lost. The socket stays open after one that the server does not understand."""


_BEGIN = 64
_PASSING_TYPE = re.compile(rf'\s*{{\s*"type"\s*:\s*"({"|".join(PASSING)})"')


class _Envelope(Struct):
    """The part of a bad frame that is needed to answer it."""

    type: Any = None
    ref: Raw = Raw(b"null")


class _Named(Struct):
    ref: Ref


_envelope = msgspec.json.Decoder(_Envelope)
_named = msgspec.json.Decoder(_Named)
_encode = msgspec.json.Encoder().encode


def ref_of_send(text: str | bytes) -> str | int | None:
    """The `ref` of a frame that is meant as a send. None for any other, and for what is no `Ref`."""
    try:
        envelope = _enveloped(text)
        if envelope.type != "send":
            return None
        named: _Named = numbers.decode(_named, b'{"ref":%b}' % memoryview(envelope.ref).tobytes())
    except (ValueError, RecursionError):
        return None
    return named.ref


def may_be_lost(text: str | bytes) -> bool:
    """Whether a frame is meant as one of `PASSING`. Where it cannot be read, its beginning tells."""
    try:
        return _enveloped(text).type in PASSING
    except (ValueError, RecursionError):
        begin = text[:_BEGIN] if isinstance(text, str) else text[:_BEGIN].decode(errors="replace")
        return _PASSING_TYPE.match(begin) is not None


def _enveloped(text: str | bytes) -> _Envelope:
    """Raises ValueError, RecursionError."""
    try:
        return _envelope.decode(text)
    except ValueError:
        return _envelope.decode(_without_halves(text))


def _without_halves(text: str | bytes) -> str:
    """The fields that tell what a frame is, where half a surrogate pair stands in another.

    JSON allows the half (RFC 8259, 8.2), but it is no text. Raises ValueError.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return json.dumps({name: found[name] for name in ("type", "ref") if name in found})


class SentFrame(Struct, tag_field="type", tag="sent"):
    """The message is durable, and stands at this place. A repeated send gets the same answer."""

    ref: Ref
    message_id: Annotated[str, Meta(description="The name of the message for ever.")]
    conversation_id: Annotated[str, Meta(description="Its conversation.")]
    seq: Annotated[int, Meta(description="Its place in the conversation.")]
    sent_at: SentAt


def sent_frame(ref: str | int, sent: Sent) -> bytes:
    """The answer to a send."""
    return _encode(SentFrame(ref, sent.message_id, sent.conversation_id, sent.seq, sent.sent_at))


def heartbeat_frame(head: int) -> bytes:
    return b'{"type":"heartbeat","head":%d}' % head


def frame(type_: str, ref: str | int | None = None, **fields: Any) -> bytes:
    """A frame of the server, with the `ref` of the one that it answers."""
    named = {} if ref is None else {"ref": ref}
    return _encode({"type": type_, **named, **fields})


def error_frame(error: RingpostError, ref: str | int | None = None) -> bytes:
    pause = {"retry_after_s": error.retry_after_s} if isinstance(error, Overloaded) else {}
    return frame("error", ref, **pause, error=error_body(error))


def entries_frame(entries: Sequence[Entry]) -> bytes:
    return b'{"type":"entries","entries":%b}' % encode_entries(entries)
