"""The AsyncAPI description of the socket and of the topics on Kafka, made from the structs that travel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from api.contract import JSON
from api.description.frames import ALSO_UNASKED, EXAMPLES, REPLIES
from api.description.log import Log
from api.description.schemas import BODIES, describe_tags, draft_07, schemas_of, send_schema
from api.description.texts import DEVICE_TOKEN
from api.gateway.frames import ClientFrame, Close, Send
from api.views_entries import EntryView
from api.views_frames import ServerFrame
from domain.events import Arrivals, Deliveries

CONNECT = "connect"
_RECONNECT_BELOW = 4500
_INTRODUCTION = (
    "What travels by itself: the frames of a WebSocket (`/v1/connect`), and the records on Kafka. "
    "The calls over HTTP are described in `/openapi.json`. "
    "Ringpost `receives` what a client sends, and `sends` what a client gets. "
    "Ignore fields and types that you do not know: more will come."
)
_SOCKET = (
    "A socket pushes the entries of an inbox and takes sends. Frames are JSON texts with a `type`. "
    "The first frame is `hello`, and the server answers `welcome`. "
    "The server closes with a code of `x-close-codes`: they say whether to reconnect."
)


def describe_events(version: str) -> dict[str, Any]:
    """The whole description. Each frame of `ClientFrame` and of `ServerFrame` is in it, and each topic."""
    clients, servers = _by_name(ClientFrame, "from_client"), _by_name(ServerFrame, "from_server")
    entries = get_args(EntryView)
    types = [*clients.values(), *servers.values(), *entries, *BODIES.values(), Deliveries, Arrivals]
    by_type, schemas = schemas_of(types)
    schemas[Send.__name__] = send_schema(schemas[Send.__name__], by_type, first=("type", "ref"))
    for schema in schemas.values():
        _describe_variants(schema)
    log = Log(draft_07(schemas), [one.__name__ for one in entries])
    frames = {name: _frame(name, kind) for name, kind in {**clients, **servers}.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ringpost",
            "version": version,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {"socket": _socket_server(), "kafka": log.server()},
        "channels": {CONNECT: _channel(frames), **log.channels()},
        "operations": {**_operations(clients, servers), **log.operations()},
        "components": {
            "schemas": dict(sorted(log.schemas.items())),
            "messages": {**frames, **log.messages()},
            "securitySchemes": {
                "device_token": {"type": "http", "scheme": "bearer", "description": DEVICE_TOKEN}
            },
        },
    }


def _by_name(union: Any, direction: str) -> dict[str, Any]:
    """The frames by their type, with the direction where both sides send one of this type."""
    tags = [_tag(kind) for side in (ClientFrame, ServerFrame) for kind in get_args(side)]
    names = {}
    for kind in get_args(union):
        tag = _tag(kind)
        names[tag if tags.count(tag) == 1 else f"{tag}_{direction}"] = kind
    return names


def _describe_variants(schema: dict[str, Any]) -> None:
    for variant in (schema, *schema.get("oneOf", ())):
        describe_tags(variant)
        for field in variant.get("properties", {}).values():
            if "description" not in field and (texts := _texts(field)):
                field["description"] = texts[0]


def _texts(field: Mapping[str, Any]) -> list[str]:
    """What an optional field says of itself."""
    return [one["description"] for one in field.get("anyOf", ()) if "description" in one]


def _frame(name: str, kind: Any) -> dict[str, Any]:
    example = EXAMPLES.get(name)
    return {
        "name": name,
        "title": name,
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        **({"examples": [{"name": name, "payload": example}]} if example else {}),
    }


def _socket_server() -> dict[str, Any]:
    return {
        "host": "{host}",
        "protocol": "ws",
        "description": "The API, or a process of it that serves sockets. With TLS the protocol is `wss`.",
        "variables": {
            "host": {
                "default": "127.0.0.1:8080",
                "description": "Name and port: `RINGPOST_HTTP_HOST` and `RINGPOST_HTTP_PORT`.",
            }
        },
        "security": [{"$ref": "#/components/securitySchemes/device_token"}],
    }


def _channel(names: Iterable[str]) -> dict[str, Any]:
    header = {"type": "string", "description": "`Bearer` and the token. A browser gives it in `hello`."}
    codes = [
        {"code": int(code), "meaning": code.reason, "reconnect": code < _RECONNECT_BELOW} for code in Close
    ]
    return {
        "address": "/v1/connect",
        "title": "The socket of one device",
        "description": _SOCKET,
        "servers": [{"$ref": "#/servers/socket"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": {"Authorization": header}},
                "bindingVersion": "0.1.0",
            }
        },
        "x-close-codes": codes,
    }


def _operations(clients: Mapping[str, Any], servers: Mapping[str, Any]) -> dict[str, Any]:
    """What a client says, with its answers, and what the server says by itself."""
    channel = {"$ref": f"#/channels/{CONNECT}"}
    answers = {answer for some in REPLIES.values() for answer in some} - ALSO_UNASKED
    operations: dict[str, Any] = {
        f"receive_{_tag(kind)}": {
            "action": "receive",
            "channel": channel,
            "summary": f"The client sends `{_tag(kind)}`.",
            "messages": _messages(name),
            "reply": {"channel": channel, "messages": _messages(*REPLIES.get(name, ("error",)))},
        }
        for name, kind in clients.items()
    }
    for name, kind in servers.items():
        if name not in answers:
            operations[f"send_{_tag(kind)}"] = {
                "action": "send",
                "channel": channel,
                "summary": f"The server sends `{_tag(kind)}` by itself.",
                "messages": _messages(name),
            }
    return operations


def _messages(*names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{CONNECT}/messages/{name}"} for name in names]


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)
