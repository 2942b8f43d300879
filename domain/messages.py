"""A message: what a sender drafts, what is stored, and the bytes that travel.

The send path encodes a message once. Kafka records, ring entries, answers and frames carry those bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain import numbers
from domain.errors import BadRequest, TooLarge
from domain.ids import ConversationId, UserId
from domain.limits import BODY_BYTES, MEDIA_BYTES, TEXT_BYTES
from domain.mismatch import NOT_KNOWN, mismatch

SentKind = Literal["text", "image", "voice", "file", "custom"]
"""What clients may send."""

Kind = Literal[SentKind, "system"]

Url = Annotated[str, Meta(min_length=1, max_length=2048, description="Where the media is found.")]
Name = Annotated[str, Meta(max_length=255)]
Mime = Annotated[str, Meta(max_length=127)]
Pixels = Annotated[int, Meta(ge=1, le=100_000)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class TextBody(Struct, forbid_unknown_fields=True):
    """A text."""

    text: Annotated[str, Meta(min_length=1, description="The text, without any markup.")]


class ImageBody(Struct, forbid_unknown_fields=True):
    """A picture that lies elsewhere."""

    url: Url
    thumbnail_url: Annotated[Url | None, Meta(description="Where a small version is found.")] = None
    name: Annotated[Name | None, Meta(description="The name of the file.")] = None
    mime: Annotated[Mime | None, Meta(description="Its media type, such as `image/png`.")] = None
    width: Annotated[Pixels | None, Meta(description="Its width in pixels.")] = None
    height: Annotated[Pixels | None, Meta(description="Its height in pixels.")] = None
    size_bytes: Annotated[Count | None, Meta(description="Its size in bytes.")] = None


class VoiceBody(Struct, forbid_unknown_fields=True):
    """A recording that lies elsewhere."""

    url: Url
    duration_ms: Annotated[Count | None, Meta(description="How long it is, in milliseconds.")] = None
    mime: Annotated[Mime | None, Meta(description="Its media type, such as `audio/ogg`.")] = None
    size_bytes: Annotated[Count | None, Meta(description="Its size in bytes.")] = None


class FileBody(Struct, forbid_unknown_fields=True):
    """A file that lies elsewhere."""

    url: Url
    name: Annotated[Name | None, Meta(description="The name of the file.")] = None
    mime: Annotated[Mime | None, Meta(description="Its media type, such as `application/pdf`.")] = None
    size_bytes: Annotated[Count | None, Meta(description="Its size in bytes.")] = None


BODY_LIMIT_BYTES: dict[str, int] = {
    "text": TEXT_BYTES,
    "image": MEDIA_BYTES,
    "voice": MEDIA_BYTES,
    "file": MEDIA_BYTES,
    "custom": TEXT_BYTES,
    "system": TEXT_BYTES,
}
"""The most bytes of a body by kind: of the text itself, else of its JSON without escapes and white space."""

MOST_LEVELS = 64
"""The most levels to which a body may nest."""

BODY_DECODERS: dict[str, Any] = {
    "text": msgspec.json.Decoder(TextBody),
    "image": msgspec.json.Decoder(ImageBody),
    "voice": msgspec.json.Decoder(VoiceBody),
    "file": msgspec.json.Decoder(FileBody),
    "custom": msgspec.json.Decoder(dict[str, Any]),
    "system": msgspec.json.Decoder(dict[str, Any]),
}
_encoder = msgspec.json.Encoder()
_MEDIA: tuple[Kind, ...] = ("image", "voice", "file")
_quoted = json.encoder.encode_basestring_ascii


def given(kind: Kind, body: Raw) -> dict[str, Any]:
    """What a body says. An optional field of a media body that is null is absent.

    In a custom body null is the application's own.
    """
    fields: dict[str, Any] = json.loads(bytes(body))
    return {name: value for name, value in fields.items() if value is not None or kind not in _MEDIA}


class Forward(Struct, frozen=True):
    """The message that was forwarded, and who had sent it."""

    message_id: str
    sender_id: UserId


class Draft(Struct, frozen=True):
    """What a sender asks to be stored. `body` is the sender's own JSON, checked by `checked_body`."""

    conversation_id: ConversationId
    sender_id: UserId
    client_message_id: str
    kind: Kind
    body: Raw
    reply_to: str | None = None
    mentions: tuple[str, ...] = ()
    forward_of: Forward | None = None

    def key(self) -> bytes:
        """16 bytes that name this send within its conversation: sender and client_message_id."""
        text = f"{self.sender_id}\0{self.client_message_id}".encode()
        return hashlib.blake2b(text, digest_size=16).digest()

    def content_hash(self) -> bytes:
        """16 bytes over what the sender gave, see `given`; the order of fields and white space do not matter.

        The content of a forwarded message does not count: it is the sender's choice which one, not what it
        says.
        """
        if self.forward_of is not None:
            return self._hash("forward", json.dumps(self.forward_of.message_id))
        raw = memoryview(self.body).tobytes()
        if self.kind == "text":  # the same bytes as below, in less than half of the time
            body = f'{{"text": {_quoted(BODY_DECODERS["text"].decode(raw).text)}}}'
        else:
            body = json.dumps(given(self.kind, self.body), sort_keys=True)
        return self._hash(self.kind, body)

    def _hash(self, kind: str, content: str) -> bytes:
        text = f"{kind}\0{content}"
        if self.reply_to is not None or self.mentions:
            text += "\0" + json.dumps([self.reply_to, sorted(self.mentions)])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


class Message(Struct, frozen=True):
    """A stored message, as it was sent. `domain/registers.py` shows it as it is now."""

    message_id: str
    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    client_message_id: str
    kind: Kind
    body: Raw
    sent_at: str
    reply_to: str | UnsetType = UNSET
    mentions: tuple[str, ...] | UnsetType = UNSET
    forward_of: Forward | UnsetType = UNSET

    def encode(self) -> bytes:
        return _encoder.encode(self)


class Sent(Struct, frozen=True):
    """The answer to a send. Every repetition of the send gets the same."""

    message_id: str
    conversation_id: ConversationId
    seq: int
    sent_at: str


_sent = msgspec.json.Decoder(Sent)


def sent_of(message: bytes) -> Sent:
    """The answer that belongs to an encoded message."""
    return _sent.decode(message)


def checked_body(kind: Kind, body: Raw) -> Raw:
    """The body as it is to be stored: as it came, byte for byte.

    Raises BadRequest or TooLarge, naming the field, when it is not what its kind demands.
    """
    if len(memoryview(body)) > BODY_BYTES:
        raise TooLarge(f"A body may have {BODY_BYTES} bytes, with all escapes and white space.", "body")
    try:
        value = numbers.decode(BODY_DECODERS[kind], memoryview(body).tobytes())
    except msgspec.ValidationError as error:
        raise mismatch(error, BODY_DECODERS[kind].type, _parsed(body), "body") from None
    except RecursionError:
        raise BadRequest(f"The body may nest to {MOST_LEVELS} levels.", "body") from None
    except ValueError:
        raise BadRequest("The body is not valid JSON.", "body") from None
    _check_size(kind, body, value)
    if isinstance(value, dict):
        if not within(value, MOST_LEVELS):
            raise BadRequest(f"The body may nest to {MOST_LEVELS} levels.", "body")
        if not fits_a_double(value):
            raise BadRequest("body holds a number that is out of range.", "body")
    return body


def _parsed(body: Raw) -> Any:
    """What the body holds, for the words of an error."""
    try:
        return json.loads(memoryview(body).tobytes(), parse_int=numbers.integer)
    except (ValueError, RecursionError):
        return NOT_KNOWN


def _check_size(kind: Kind, body: Raw, value: Any) -> None:
    """Raises TooLarge for a body beyond the limit of its kind, however its text is escaped."""
    limit = BODY_LIMIT_BYTES[kind]
    if len(memoryview(body)) <= limit:
        return
    if isinstance(value, TextBody):
        if len(value.text.encode()) > limit:
            raise TooLarge(f"A text may have {limit} bytes of UTF-8.", "body.text")
    elif plain_bytes(value) > limit:
        raise TooLarge(f"The body of a message of kind {kind} may have {limit} bytes of JSON.", "body")


def plain_bytes(value: Any) -> int:
    """The bytes of the JSON without white space, each escape counted as the character that it stands for."""
    written = _encoder.encode(value).replace(b"\\\\", b"x")
    long = written.count(b"\\u")
    short = written.count(b"\\") - long
    return len(written) - 5 * long - short


def within(value: Any, levels: int) -> bool:
    """Whether lists and objects nest to no more than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return True
    return levels > 0 and all(within(one, levels - 1) for one in inner)


def fits_a_double(value: Any) -> bool:
    """Whether no integer in it lies beyond the range of a double, which is what most readers have."""
    if isinstance(value, int):
        return abs(value) <= sys.float_info.max
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(fits_a_double(one) for one in inner)
