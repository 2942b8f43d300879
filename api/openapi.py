"""The OpenAPI description, made from the routes, the structs that they read and write, and the catalogues."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from api.contract import JSON, Route
from api.description.examples import EXAMPLES, LINKS, Named
from api.description.operations import OPERATIONS, TAGS
from api.description.refusals import REFUSALS, example_of
from api.description.schemas import BODIES, describe_tags, schemas_of, send_schema
from api.description.texts import ADMIN_KEY, DEVICE_TOKEN, introduction
from api.errors import STATUS, ErrorAnswer
from api.views import SendMessage
from domain.errors import BadRequest, Internal, TooLarge, Unauthenticated, Unavailable


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole description, in the order in which a person reads."""
    types: list[Any] = [ErrorAnswer, *BODIES.values(), SendMessage]
    for route in routes:
        types += [*route.answers.values(), *([route.body_type] if route.body_type else [])]
    by_type, components = schemas_of(types)
    components["SendMessage"] = send_schema(components["SendMessage"], by_type)
    paths: dict[str, Any] = {}
    tags = list(TAGS)
    for route in sorted(routes, key=lambda one: tags.index(OPERATIONS[one.name].tag)):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    for component in components.values():
        describe_tags(component)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringpost",
            "version": version,
            "summary": "Messaging that loses nothing.",
            "description": introduction(),
        },
        "servers": [{"url": ".", "description": "The server that this description comes from."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "admin_key": {"type": "http", "scheme": "bearer", "description": ADMIN_KEY},
                "device_token": {"type": "http", "scheme": "bearer", "description": DEVICE_TOKEN},
            },
        },
    }


def _operation(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    text, examples = OPERATIONS[route.name], EXAMPLES[route.name]
    operation: dict[str, Any] = {
        "operationId": _operation_id(route.name),
        "summary": route.summary,
        "description": text.description,
        "tags": [text.tag],
        "security": [{"admin_key" if route.admin else "device_token": []}],
        "responses": _responses(route, by_type),
    }
    parameters = [
        parameter | _prefilled(examples.parameters.get(parameter["name"], {}))
        for kind, where in ((route.path_type, "path"), (route.query_type, "query"))
        if kind is not None
        for parameter in _parameters(kind, where)
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body_type is not None:
        content = {"schema": by_type[route.body_type], **_prefilled(examples.requests)}
        operation["requestBody"] = {"required": True, "content": {JSON: content}}
    return operation


def _operation_id(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def _prefilled(named: Named) -> dict[str, Any]:
    """One example, or several to choose from; the first one is filled in."""
    if len(named) == 1:
        (value,) = named.values()
        return {"example": value}
    if not named:
        return {}
    return {"examples": {name: {"summary": name, "value": value} for name, value in named.items()}}


def _responses(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    text, examples = OPERATIONS[route.name], EXAMPLES[route.name]
    responses: dict[str, Any] = {
        str(status): {
            "description": text.done[status],
            "content": {JSON: {"schema": by_type[kind], "example": examples.answers[status]}},
            **_links(route.name, status),
        }
        for status, kind in sorted(route.answers.items())
    }
    usual = [BadRequest, Unauthenticated, Unavailable, Internal, *([TooLarge] if route.body_type else [])]
    refusals = {error: REFUSALS[error] for error in usual} | dict(text.refused)
    for status in sorted({STATUS[error] for error in refusals}):
        errors = [error for error in refusals if STATUS[error] == status]
        said = {error.code: example_of(error, refusals[error]) for error in errors}
        responses[str(status)] = {
            "description": "  \n".join(f"`{error.code}`: {refusals[error].when}" for error in errors),
            "content": {JSON: {"schema": by_type[ErrorAnswer], **_prefilled(said)}},
            **_headers(status),
        }
    return responses


def _links(name: str, status: int) -> Mapping[str, Any]:
    """The calls that take what is in this answer."""
    parameters = {"conversation_id": "$response.body#/conversation_id"}
    text = "The id of the new group is what this call takes."
    ids = map(_operation_id, LINKS.get(name, {}).get(status, ()))
    links = {one: {"operationId": one, "parameters": parameters, "description": text} for one in ids}
    return {"links": links} if links else {}


def _headers(status: int) -> Mapping[str, Any]:
    """What an error carries besides its body."""
    if status == 401:
        text = "What is missing: `Bearer`, a token or the admin key."
        return {"headers": {"WWW-Authenticate": {"description": text, "schema": {"type": "string"}}}}
    if status in {429, 503}:
        text = "Seconds to wait before the same request is sent again."
        return {"headers": {"Retry-After": {"description": text, "schema": {"type": "integer"}}}}
    return {}


def _parameters(kind: type, where: str) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return [
        {
            "name": name,
            "in": where,
            "description": described.pop("description"),
            "required": name in schema["required"],
            "schema": described,
        }
        for name, described in schema["properties"].items()
    ]
