"""JSON schemas of the structs that travel, for the descriptions of the calls and of the frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from domain.messages import BODY_DECODERS, SentKind

REF = "#/components/schemas/{name}"
BODIES: Mapping[str, Any] = {kind: BODY_DECODERS[kind].type for kind in get_args(SentKind)}
"""What a body holds, by the kind of message."""


def schemas_of(types: Iterable[Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type, and the components to which they refer, by name."""
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=REF)
    return dict(zip(unique, schemas, strict=True)), components


def describe_tags(component: dict[str, Any]) -> None:
    """msgspec says nothing of the field that tells the variants of a union apart."""
    for schema in component.get("properties", {}).values():
        if "description" not in schema and "enum" in schema:
            schema["description"] = f"Always `{schema['enum'][0]}`."


def send_schema(
    plain: dict[str, Any], by_type: Mapping[Any, Any], first: Sequence[str] = ()
) -> dict[str, Any]:
    """One variant for each kind of message and each way to address it. All require the fields of `first`."""
    properties = plain["properties"]
    always = {name: properties[name] for name in (*first, "client_message_id")}
    addresses = {"conversation_id": "into a conversation", "to": "to a user"}
    variants = []
    for kind, body in BODIES.items():
        content = {
            "kind": {"const": kind, "description": properties["kind"]["description"]},
            "body": by_type[body] | {"description": properties["body"]["description"]},
        }
        for address, to in addresses.items():
            fields = {address: _given(properties[address]), **always, **content}
            variants.append(_variant(f"{kind} {to}", fields, properties))
    for address, to in addresses.items():
        fields = {
            address: _given(properties[address]),
            **always,
            "forward_of": _given(properties["forward_of"]),
        }
        variants.append(_variant(f"forward {to}", fields, properties))
    return {"title": plain["title"], "description": plain["description"], "oneOf": variants}


def _variant(title: str, required: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    optional = {name: properties[name] for name in ("reply_to", "mentions")}
    return {
        "title": title,
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _given(optional: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that is there: without null, and without a default."""
    present = next(choice for choice in optional["anyOf"] if choice.get("type") != "null")
    return {**present, **{name: text for name, text in optional.items() if name not in {"anyOf", "default"}}}


def draft_07(schema: Any) -> Any:
    """The same schema in the older draft, which AsyncAPI takes.

    There a list of schemas for the elements of an array is `items`, and a `$ref` has no neighbours.
    """
    if isinstance(schema, list):
        return [draft_07(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    older = {name: draft_07(value) for name, value in schema.items() if name != "discriminator"}
    if "prefixItems" in older:
        rest = older.pop("items", None)
        older["items"] = older.pop("prefixItems")
        if rest is not None:
            older["additionalItems"] = rest
    if "$ref" in older and len(older) > 1:
        older["allOf"] = [{"$ref": older.pop("$ref")}]
    return older
