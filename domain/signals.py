"""A signal of a client: typing, recording and the like. It is handed on and forgotten."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from domain import numbers
from domain.errors import BadRequest, TooLarge
from domain.limits import AROUND_BYTES, ESCAPED
from domain.messages import MOST_LEVELS, fits_a_double, plain_bytes, within

SIGNAL_CHARACTERS = 32
"""The most characters in the name of a signal."""

DATA_BYTES = 512
"""The most bytes in the data of a signal: of its JSON without escapes and white space."""

WRITTEN_BYTES = ESCAPED * DATA_BYTES + AROUND_BYTES
"""The most bytes of the data as it is sent, escapes and white space included."""

MOST_MEMBERS = 100
"""A signal in a conversation with more members reaches nobody."""

EVERY_S = 1.0
"""One user's signals in one conversation pass at most once in this time."""

NO_DATA = Raw(b"null")
_decoder = msgspec.json.Decoder(dict[str, Any])


def checked_data(data: Raw) -> Raw | None:
    """The data of a signal as it came, byte for byte. None if there is none.

    Raises BadRequest or TooLarge with the field if it is no object, or larger than it may be.
    """
    written = memoryview(data).tobytes()
    if written == b"null":
        return None
    if len(written) > WRITTEN_BYTES:
        raise _too_large()
    try:
        value: dict[str, Any] = numbers.decode(_decoder, written)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise BadRequest("data must be an object.", "data") from None
    if not within(value, MOST_LEVELS):
        raise _too_deep()
    if not fits_a_double(value):
        raise BadRequest("data holds a number that is out of range.", "data")
    if plain_bytes(value) > DATA_BYTES:
        raise _too_large()
    return data


def _too_large() -> TooLarge:
    return TooLarge(f"The data of a signal may have {DATA_BYTES} bytes of JSON.", "data")


def _too_deep() -> BadRequest:
    return BadRequest(f"The data of a signal may nest to {MOST_LEVELS} levels.", "data")
