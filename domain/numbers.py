"""Numbers as JSON means them: 3, 3.0 and 3e0 are one number, and an integer."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def decode(decoder: msgspec.json.Decoder[Any], text: str | bytes) -> tuple[Any, str | bytes]:
    """What the decoder makes of a JSON text, and the text, with 3.0 written as 3 if need be.

    Some languages write every number with a point. msgspec takes no 3.0 for an integer, JSON Schema does.
    Raises what the decoder raises.
    """
    try:
        return decoder.decode(text), text
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        plain = json.dumps(json.loads(text, parse_float=_number), ensure_ascii=False)
        try:
            return decoder.decode(plain), plain
        except msgspec.ValidationError:
            raise error from None


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number
