"""Strict reading of input. It refuses everything that differs from the description, and names the field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from domain import numbers
from domain.errors import BadRequest
from domain.ids import CONVERSATION_ID_PATTERN, ID_PATTERN, LIST_CURSOR_PATTERN

T = TypeVar("T")
_FORMS = {
    ID_PATTERN: "An id is 1 to 64 of the characters A-Z a-z 0-9 _ . @ - and neither . nor .. alone.",
    CONVERSATION_ID_PATTERN: "This is not the id of a conversation.",
    LIST_CURSOR_PATTERN: "This is not a cursor that was given out.",
}
"""What stands in an error instead of a regular expression."""


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class _DuplicateKey(ValueError):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKey(next(name for name in names if names.count(name) > 1))
    return found


_scanner = json.JSONDecoder(object_pairs_hook=_without_duplicates)


def read_json(data: bytes | str, kind: Any) -> Any:
    """Decode JSON of this type. Raises BadRequest: not UTF-8, not JSON, a key twice, or not the type."""
    try:
        text = data if isinstance(data, str) else data.decode()
        decoded = numbers.decode(_decoder(kind), text)
        _scanner.decode(text)
        return decoded
    except UnicodeDecodeError:
        raise BadRequest("The request is not valid UTF-8.") from None
    except msgspec.ValidationError as error:
        raise _bad(error) from None
    except _DuplicateKey as error:
        raise BadRequest("The key stands twice in one object.", str(error)) from None
    except (ValueError, RecursionError):
        raise BadRequest("The request is not valid JSON.") from None


def read_query(pairs: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """Decode query parameters. Raises BadRequest, also for one that is unknown or stands twice."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise BadRequest("The parameter stands twice.", name)
        given[name] = value
    return convert(given, kind)


def convert(given: Mapping[str, str], kind: type[T]) -> T:
    """Path or query texts as this type. Raises BadRequest."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(error) from None


def _bad(error: msgspec.ValidationError) -> BadRequest:
    """`Expected `int`, got `str` - at `$.limit`` → the sentence, and `limit` as the field."""
    reason, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".") or None
    if reason.startswith("Object contains unknown field `"):
        name = reason.removeprefix("Object contains unknown field `").rstrip("`")
        return BadRequest("The field is not known.", f"{field}.{name}" if field else name)
    if reason.startswith("Object missing required field `"):
        name = reason.removeprefix("Object missing required field `").rstrip("`")
        return BadRequest("The field is missing.", f"{field}.{name}" if field else name)
    for pattern, form in _FORMS.items():
        if repr(pattern) in reason:
            return BadRequest(form, field)
    return BadRequest(f"{reason}.", field)
