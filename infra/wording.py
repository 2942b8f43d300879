"""Sentences about refused values: what the value may be, and what it was. Made from pydantic's errors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_SHOWN = 100


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret: it is never shown, and may come from a file."""
    return field.annotation is SecretStr or not field.repr


def refusal(setting: str, field: FieldInfo, error: ErrorDetails) -> str:
    """`setting` is what the person wrote, a variable or a place in a file. No secret is quoted."""
    if error["type"] == "value_error":  # a check of ours, which continues the sentence
        return f"{setting} {error['ctx']['error']}."
    given = "" if is_secret(field) or "@" in str(error["input"]) else f", and is {_shown(error['input'])}"
    return f"{setting} must be {may_be(field)}{given}.{_hint(error['input'])}"


def of_another_type(field: FieldInfo, value: object) -> ErrorDetails | None:
    """The error of a number that the settings file has as something else, such as `true` or `"80"`."""
    kinds: dict[object, tuple[type, ...]] = {int: (int,), float: (int, float)}
    kind = kinds.get(field.annotation)
    if kind is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return None
    return ErrorDetails(type="type", loc=(), msg="", input=value)


def may_be(field: FieldInfo) -> str:
    """The values that a field takes: `a whole number from 1 to 1024`."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        *most, last = (str(value) or "empty" for value in get_args(kind))
        return f"{', '.join(most)} or {last}"
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "form" in extra:
        return str(extra["form"])
    names = {bool: "true or false", int: "a whole number", float: "a number", Path: "the path of a folder"}
    return names.get(kind, "a text") + _range(field)  # type: ignore[arg-type]


def _range(field: FieldInfo) -> str:
    bounds = {
        name: getattr(rule, name)
        for rule in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(rule, name)
    }
    low = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"to {bounds['le']}" if "le" in bounds else f"below {bounds['lt']}" if "lt" in bounds else ""
    if low.startswith("from") and not high:
        low += " on"
    return "".join(f" {bound}" for bound in (low, high) if bound)


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text[:_SHOWN]}…"' if len(text) > _SHOWN else f'"{text}"' if text else "empty"


def _hint(value: object) -> str:
    if isinstance(value, str) and value.startswith("tcp://"):
        return " Kubernetes sets this for a Service of that name: set `enableServiceLinks: false`."
    return ""
