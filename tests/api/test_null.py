"""An optional field that is given as null is the same as one that is absent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.people import Socket, good, message
from tests.patience import PATIENCE_S


def answer(socket: Socket, type_: str) -> Any:
    """The next frame of this type; the entries of what was sent may stand before it."""
    while True:
        frame = json.loads(socket.connection.recv(timeout=PATIENCE_S))
        if frame["type"] == type_:
            return frame


def test_message_may_be_addressed_either_way_with_null_for_the_other(ann, bob):
    direct = ann.direct(bob)
    to_user = message(direct, conversation_id=None, to=bob.user_id)
    into_conversation = message(direct, to=None)
    for sent in (to_user, into_conversation):
        assert ann.post("/v1/messages", **sent)["conversation_id"] == direct
    with ann.socket(token=None, cursor=None) as socket:
        for ref, sent in enumerate(
            (message(direct, conversation_id=None, to=bob.user_id), message(direct, to=None))
        ):
            socket.say(type="send", ref=ref, **sent)
            assert answer(socket, "sent")["conversation_id"] == direct
        socket.say(type="ping", ref=None)
        assert answer(socket, "pong") == {"type": "pong"}


def test_user_token_and_group_take_null_for_what_is_optional(server, ann):
    good(server.admin("PUT", f"/v1/users/{ann.user_id}", json={"name": None}))
    order = {"user_id": ann.user_id, "device_id": "d", "device_class": None, "expires_in_s": None}
    good(server.admin("POST", "/v1/tokens", json=order))
    made = good(ann.ask("POST", "/v1/conversations", json={"kind": "group", "members": [], "title": None}))
    assert made["title"] is None


@pytest.mark.parametrize(
    "kind, body",
    [
        (
            "image",
            {"url": "u", "thumbnail_url": None, "name": None, "mime": None, "width": None, "height": None},
        ),
        ("voice", {"url": "u", "duration_ms": None, "mime": None, "size_bytes": None}),
        ("file", {"url": "u", "name": None, "mime": None, "size_bytes": None}),
    ],
)
def test_body_takes_null_for_what_is_optional(ann, kind, body):
    notes = ann.direct(ann)
    ann.post("/v1/messages", **message(notes, kind=kind, body=body))


def test_every_optional_field_of_a_request_takes_null(server):
    """By the description: whoever adds an optional field lets it be null."""
    described = server.http.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path in described["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    ]
    checked = 0
    for schema in _objects(bodies, schemas):
        for name, field in schema.get("properties", {}).items():
            if name not in schema.get("required", ()):
                assert '{"type": "null"}' in json.dumps(field), (name, field)
                checked += 1
    assert checked > 5


def _objects(value: Any, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas in there, references followed."""
    if isinstance(value, list):
        return [found for one in value for found in _objects(one, schemas)]
    if not isinstance(value, dict):
        return []
    if "$ref" in value:
        return _objects(schemas[value["$ref"].rsplit("/", 1)[1]], schemas)
    own = [value] if value.get("type") == "object" else []
    return own + [found for one in value.values() for found in _objects(one, schemas)]
