"""Input that does not match its type, in a person's words: the field, what it may be, and what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

from domain.errors import BadRequest
from domain.ids import CONVERSATION_ID_PATTERN, ID_PATTERN, LIST_CURSOR_PATTERN

NOT_KNOWN: Any = object()
"""For input whose value is not at hand."""

SHOWN_CHARACTERS = 40
NAME_CHARACTERS = 64

_FORMS = {
    ID_PATTERN: "an id of 1 to 64 of the characters A-Z a-z 0-9 _ . @ - and neither . nor .. alone",
    CONVERSATION_ID_PATTERN: "the id of a conversation",
    LIST_CURSOR_PATTERN: "a cursor out of an earlier answer",
}
"""Regular expression → what it asks for."""

_SECRET = re.compile(r"token|password|secret|key", re.IGNORECASE)
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_UNKNOWN = "Object contains unknown field `"
_MISSING = "Object missing required field `"


def mismatch(
    error: msgspec.ValidationError, kind: Any, given: Any = NOT_KNOWN, within: str = ""
) -> BadRequest:
    """The error for a person. `given` is the input that was refused, `within` the field that it came in.

    What was given is shortened, and that of a field named like a secret is left out.
    """
    reason, at, path = str(error).rpartition(" - at `$")
    if not at:
        reason, path = path, ""
    found: inspect.Type | None = inspect.type_info(kind)
    value, field = given, within
    for step in _steps(path):
        found, value = _inside(found, value, step)
        field = f"{field}[{step}]" if isinstance(step, int) else _joined(field, step)
    if reason.startswith(_UNKNOWN):
        return _no_such_field(reason.removeprefix(_UNKNOWN)[:-1], found, value, field)
    if reason.startswith(_MISSING):
        name = reason.removeprefix(_MISSING)[:-1]
        wanted = _words(_inside(found, value, name)[0])
        return BadRequest(f"{name} is missing. It must be {wanted}.", _joined(field, name))
    return BadRequest(_sentence(field, found, value), field or None)


def shortened(name: str) -> str:
    """A name that a client gave, at a length that an answer can carry."""
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _steps(path: str) -> Iterable[str | int]:
    """`.members[1]` → members, 1. Ends before a place that has no name."""
    at = 0
    while step := _STEP.match(path, at):
        name, index = step.groups()
        yield name if index is None else int(index)
        at = step.end()


def _inside(kind: inspect.Type | None, value: Any, step: str | int) -> tuple[inspect.Type | None, Any]:
    """The type and the value one step further in; None for a type that has nothing there."""
    kind = _chosen(kind, value)
    if isinstance(step, str):
        value = value.get(step, NOT_KNOWN) if isinstance(value, dict) else NOT_KNOWN
    else:
        value = value[step] if isinstance(value, list) and step < len(value) else NOT_KNOWN
    if isinstance(kind, inspect.StructType):
        types = {one.encode_name: one.type for one in kind.fields}
        return types.get(str(step)) or _tags(kind, step), value
    if isinstance(kind, inspect.UnionType):
        listed = [one for one in kind.types if isinstance(one, inspect.ListType)]
        if isinstance(step, int) and listed:
            return listed[0].item_type, value
        return _tags(kind, step), value
    if isinstance(kind, inspect.ListType):
        return kind.item_type, value
    return None, value


def _chosen(kind: inspect.Type | None, value: Any) -> inspect.Type | None:
    """Without its descriptions; of several structs the one that the value means by its tag."""
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        some = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if len(some) == 1:
            return _chosen(some[0], value)
        if isinstance(value, dict):
            for one in _tagged(kind):
                if value.get(str(one.tag_field)) == one.tag:
                    return one
    return kind


def _tagged(kind: inspect.Type) -> list[inspect.StructType]:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [one for one in kinds if isinstance(one, inspect.StructType) and one.tag_field]


def _tags(kind: inspect.Type, step: str | int) -> inspect.Type | None:
    """The values of the field that tells structs apart."""
    tags = tuple(one.tag for one in _tagged(kind) if one.tag_field == step)
    return inspect.LiteralType(tags) if tags else None


def _no_such_field(name: str, kind: inspect.Type | None, value: Any, field: str) -> BadRequest:
    names = _names(_chosen(kind, value))
    there = f" There {'are' if len(names) > 1 else 'is only'} {_listed(names, 'and')}." if names else ""
    return BadRequest(f"There is no field {shortened(name)}.{there}", _joined(field, shortened(name)))


def _names(kind: inspect.Type | None) -> list[str]:
    if not isinstance(kind, inspect.StructType):
        return []
    return ([kind.tag_field] if kind.tag_field else []) + [field.encode_name for field in kind.fields]


def _sentence(field: str, kind: inspect.Type | None, value: Any) -> str:
    name, kind = field or "The request", _chosen(kind, value)
    if kind is None or (isinstance(kind, inspect.AnyType | inspect.DictType) and isinstance(value, dict)):
        return f"{name} holds a number that is out of range."
    verb = "may" if isinstance(kind, inspect.LiteralType) else "must"
    shown = "" if value is NOT_KNOWN or _SECRET.search(field) else f", not {_shown(value)}"
    return f"{name} {verb} be {_words(kind)}{shown}."


def _words(kind: inspect.Type | None) -> str:
    """What a value of this type is."""
    match _chosen(kind, NOT_KNOWN):
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _bounds(low, high)
        case inspect.FloatType(ge=low, le=high):
            return "a number" + _bounds(low, high)
        case inspect.StrType(pattern=str(pattern)):
            return _FORMS.get(pattern, "a text of the form that the description gives")
        case inspect.StrType(min_length=low, max_length=high):
            return "a text" + _lengths(low, high, "character")
        case inspect.LiteralType(values=values):
            return _listed(map(str, values), "or")
        case inspect.ListType(min_length=low, max_length=high):
            return "a list" + _lengths(low, high, "item")
        case inspect.BoolType():
            return "true or false"
        case inspect.UnionType() as several if tagged := _tagged(several):
            tags = _listed((str(one.tag) for one in tagged), "or")
            return f"an object whose {tagged[0].tag_field} is {tags}"
        case inspect.UnionType(types=types):
            given = (one for one in types if not isinstance(one, inspect.NoneType))
            return " or ".join(_words(one) for one in given)
        case inspect.StructType() as struct:
            names = _names(struct)
            return f"an object with the fields {_listed(names, 'and')}" if names else "an empty object"
        case inspect.DictType():
            return "an object"
    return "JSON"


def _bounds(low: Any, high: Any) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f" of at least {low:g}"
    return f" up to {high}" if low is None else f" from {_plain(low)} to {_plain(high)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _lengths(low: int | None, high: int | None, unit: str) -> str:
    if high is None:
        return f" of at least {low} {unit}{'' if low == 1 else 's'}" if low else ""
    return f" of {low} to {high} {unit}s" if low else f" of up to {high} {unit}s"


def _listed(words: Iterable[str], last: str) -> str:
    """`a, b and c`."""
    *before, end = words
    return f"{', '.join(before)} {last} {end}" if before else end


def _shown(value: Any) -> str:
    """What was given, shortened."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}"
    if value == "":
        return "an empty text"
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return f"a text of {len(value)} characters"
    written = json.dumps(value, ensure_ascii=not str(value).isprintable())
    return written if len(written) <= 2 * SHOWN_CHARACTERS else f"a number of {len(written)} digits"
