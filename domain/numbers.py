"""Numbers as JSON means them: 3, 3.0 and 3e0 are one number, and an integer."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, inspect

_fields = msgspec.json.Decoder(dict[str, Raw])


def decode(decoder: msgspec.json.Decoder[Any], text: str | bytes) -> Any:
    """What the decoder makes of a JSON text, where 3.0 is also an integer.

    Some languages write every number with a point. msgspec takes no 3.0 for an integer, JSON Schema does.
    A field that is decoded as Raw holds the bytes that came. Raises what the decoder raises.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        try:
            return decoder.decode(_with_plain_integers(text, decoder.type))
        except ValueError:
            raise error from None


def _with_plain_integers(text: str | bytes, kind: Any) -> str:
    """The object with 3 for 3.0, but for the fields that are left as they came."""
    parts, kept = [], _raw_fields(kind)
    for name, value in _fields.decode(text).items():
        written = memoryview(value).tobytes().decode()
        if name not in kept:
            written = json.dumps(json.loads(written, parse_float=_number))
        parts.append(f"{json.dumps(name)}:{written}")
    return "{" + ",".join(parts) + "}"


@cache
def _raw_fields(kind: Any) -> frozenset[str]:
    """The fields that a struct, or one of several structs, leaves as they came."""
    found = inspect.type_info(kind)
    kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
    return frozenset(
        field.encode_name
        for one in kinds
        if isinstance(one, inspect.StructType)
        for field in one.fields
        if isinstance(_plain(field.type), inspect.RawType)
    )


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def integer(text: str) -> int | float:
    """Infinity for more digits than Python reads."""
    try:
        return int(text)
    except ValueError:
        return float(text)
