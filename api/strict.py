"""Strict reading of input. It refuses everything that differs from the description, and names the field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from domain import numbers
from domain.errors import BadRequest
from domain.mismatch import NOT_KNOWN, mismatch, shortened

T = TypeVar("T")


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


# Its numbers are not looked at: a float takes any number of digits.
_scanner = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_int=float)


def read_json(data: bytes | str, kind: Any) -> Any:
    """Decode JSON of this type. Raises BadRequest: not UTF-8, not JSON, a key twice, or not the type."""
    try:
        text = data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError:
        raise BadRequest("The request is not valid UTF-8.") from None
    try:
        decoded = numbers.decode(_decoder(kind), text)
        _scanner.decode(text)
        return decoded
    except msgspec.ValidationError as error:
        raise mismatch(error, kind, _parsed(text)) from None
    except _DuplicateKey as error:
        raise BadRequest("The field stands twice in one object.", shortened(str(error))) from None
    except RecursionError:
        raise BadRequest("The request nests too deep.") from None
    except ValueError:
        raise BadRequest("The request is not valid JSON.") from None


def _parsed(text: str) -> Any:
    """What a JSON text holds, for the words of an error."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NOT_KNOWN


def read_query(pairs: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """Decode query parameters. Raises BadRequest, also for one that is unknown or stands twice."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise BadRequest("The parameter stands twice.", shortened(name))
        given[name] = value
    return convert(given, kind)


def convert(given: Mapping[str, Any], kind: type[T]) -> T:
    """Path or query texts as this type, or lists of them. Raises BadRequest."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise mismatch(error, kind, given) from None
