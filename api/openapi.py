"""The OpenAPI description, made from the routes and the structs that they really read and write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from api.contract import JSON, Route
from api.errors import STATUS, ErrorAnswer
from api.views import SendMessage
from domain import messages
from domain.errors import (
    BadRequest,
    Forbidden,
    Internal,
    RingpostError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

_REF = "#/components/schemas/{name}"
_BODIES: dict[str, Any] = {
    "text": messages.TextBody,
    "image": messages.ImageBody,
    "voice": messages.VoiceBody,
    "file": messages.FileBody,
    "custom": dict[str, Any],
}


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole description."""
    types: list[Any] = [ErrorAnswer, *_BODIES.values(), SendMessage]
    for route in routes:
        types += [*route.answers.values()]
        types += [kind for kind in (route.body_type, route.path_type, route.query_type) if kind is not None]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    by_type = dict(zip(unique, schemas, strict=True))
    components["SendMessage"] = _send_schema(components["SendMessage"], by_type)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ringpost", "version": version, "summary": "Messaging that loses nothing."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "device": {"type": "http", "scheme": "bearer", "description": "A token of POST /v1/tokens."},
                "admin": {"type": "http", "scheme": "bearer", "description": "The admin key."},
            },
        },
    }


def _operation(route: Route, by_type: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", route.name.lower()).strip("_"),
        "summary": route.summary,
        "tags": [route.path.split("/")[2]],
        "security": [{"admin" if route.admin else "device": []}],
        "responses": _responses(route, by_type),
    }
    parameters = _parameters(route.path_type, "path", components) + _parameters(
        route.query_type, "query", components
    )
    if parameters:
        operation["parameters"] = parameters
    if route.body_type is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": by_type[route.body_type]}}}
    return operation


def _responses(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(status): {"description": "Done.", "content": {JSON: {"schema": by_type[kind]}}}
        for status, kind in sorted(route.answers.items())
    }
    for status, errors in sorted(_errors(route).items()):
        codes = " or ".join(sorted({f"`{error.code}`" for error in errors}))
        responses[str(status)] = {
            "description": f"Error {codes}.",
            "content": {JSON: {"schema": by_type[ErrorAnswer]}},
        }
    return responses


def _errors(route: Route) -> dict[int, list[type[RingpostError]]]:
    raised: list[type[RingpostError]] = [BadRequest, Unauthenticated, Unavailable, Internal, *route.errors]
    if route.admin:
        raised.append(Forbidden)
    if route.body_type is not None:
        raised.append(TooLarge)
    by_status: dict[int, list[type[RingpostError]]] = {}
    for error in raised:
        by_status.setdefault(STATUS[error], []).append(error)
    return by_status


def _parameters(kind: type | None, where: str, components: dict[str, Any]) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = components.pop(kind.__name__, None) or _inline(kind)
    components[kind.__name__] = schema
    required = set(schema.get("required", ()))
    parameters = []
    for name, property_schema in schema["properties"].items():
        choices = property_schema.get("anyOf", [property_schema])
        present = next(choice for choice in choices if choice.get("type") != "null")  # it is there or not
        parameters.append({"name": name, "in": where, "required": name in required, "schema": present})
    return parameters


def _inline(kind: type) -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema_components([kind], ref_template=_REF)[1][kind.__name__]
    return schema


def _send_schema(plain: dict[str, Any], by_type: dict[Any, Any]) -> dict[str, Any]:
    """One variant for each kind of message and each way to address it."""
    properties = plain["properties"]
    variants = []
    for kind, body in _BODIES.items():
        for address in ("conversation_id", "to"):
            fields = {
                "client_message_id": properties["client_message_id"],
                "kind": {"const": kind},
                "body": by_type[body],
                address: properties[address],
            }
            variants.append(
                {
                    "type": "object",
                    "properties": fields,
                    "required": list(fields),
                    "additionalProperties": False,
                }
            )
    return {"title": "SendMessage", "oneOf": variants}
