"""Requests that work with each other, from the top of the page to its end, and their answers.

They are ann's, on her phone; she must exist. The first request makes bob. A call on a group needs an id
that only the server can give: the answer that has it links to these calls (`LINKS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from domain.ids import UserId, direct_id, message_id

DIRECT = direct_id(UserId("ann"), UserId("bob"))
GROUP = "g:h3xk2wq7mzr5t4ya"
_SENT_AT = "2026-03-02T09:30:00.000Z"
_CREATED_AT = "2026-03-02T09:00:00.000Z"
_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJkZXYiOiJwaG9uZSJ9.c2lnbmF0dXJl"
_HELLO = {"text": "Hello Bob"}

Named = Mapping[str, Any]
"""Examples by what they show. The first one is prefilled."""


class Examples(NamedTuple):
    """`parameters` and `answers` are by name and by status."""

    answers: Mapping[int, Any]
    parameters: Mapping[str, Named] = MappingProxyType({})
    requests: Named = MappingProxyType({})


def _message(seq: int, **fields: Any) -> dict[str, Any]:
    return {
        "message_id": message_id(DIRECT, seq),
        "conversation_id": DIRECT,
        "seq": seq,
        "sender_id": "ann",
        "client_message_id": "first-message",
        "kind": "text",
        "body": _HELLO,
        "sent_at": _SENT_AT,
        **fields,
    }


def _send(client_message_id: str, kind: str, body: Any, **to: str) -> dict[str, Any]:
    return {**(to or {"to": "bob"}), "client_message_id": client_message_id, "kind": kind, "body": body}


_SENT: dict[str, Any] = {
    "message_id": message_id(DIRECT, 1),
    "conversation_id": DIRECT,
    "seq": 1,
    "sent_at": _SENT_AT,
}
_OPENED: dict[str, Any] = {
    "conversation_id": DIRECT,
    "kind": "direct",
    "title": None,
    "head_seq": 1,
    "created_at": _CREATED_AT,
    "members": ["ann", "bob"],
    "with": {"user_id": "bob", "name": "Bob"},
}
_ME: dict[str, Any] = {
    "role": "member",
    "read_seq": 0,
    "unread": 0,
    "mentions": 0,
    "marked_unread": False,
    "muted_until": None,
    "pinned": False,
    "archived": False,
    "draft": None,
    "cleared_seq": 0,
}
_OPENED["me"] = _ME
_CREATED: dict[str, Any] = {
    "conversation_id": GROUP,
    "kind": "group",
    "title": "Lunch",
    "head_seq": 0,
    "created_at": _CREATED_AT,
    "members": ["ann", "bob"],
    "owner_id": "ann",
    "me": _ME | {"role": "owner"},
}
_ROW = {"read_seq": 0, "unread": 0}
_LISTED: dict[str, Any] = {
    "conversations": [
        {k: _CREATED[k] for k in ("conversation_id", "kind", "title", "head_seq")}
        | _ROW
        | {"last_message": None, "me": _CREATED["me"]},
        {k: _OPENED[k] for k in ("conversation_id", "kind", "title", "head_seq")}
        | _ROW
        | {"last_message": _message(1), "with": _OPENED["with"], "me": _ME},
    ],
    "cursor": None,
    "referenced": [],
    "more": False,
}
_MYSELF = {"user_id": "ann", "name": None, "last_seen": "everyone"}
_OF_GROUP = {"conversation_id": {"a group": GROUP}}
_OF_DIRECT = {"conversation_id": {"ann and bob": DIRECT}}
_BOB = {"user_id": {"bob": "bob"}}
_FIRST, _SECOND, _THIRD = ({"message_id": {"ann to bob": message_id(DIRECT, seq)}} for seq in (1, 2, 3))
_THUMBS_UP = {"key": {"thumbs up": "👍"}}
_EDITED = _message(1, body={"text": "Hello, Bob!"}, rev=4, edited_at="2026-03-02T09:31:00.000Z")
_REACTED = {
    "message_id": message_id(DIRECT, 1),
    "reactions": {"👍": {"count": 1, "by": ["ann"], "mine": True}},
}

EXAMPLES = {
    "PUT /v1/users/{user_id}": Examples(
        {200: {"user_id": "bob", "name": "Bob", "created_at": _CREATED_AT}},
        {"user_id": {"bob": "bob", "ann": "ann"}},
        {"bob": {"name": "Bob"}, "ann": {"name": "Ann"}},
    ),
    "POST /v1/tokens": Examples(
        {200: {"token": _TOKEN, "expires_at": "2026-04-01T09:00:00.000Z"}},
        requests={
            "ann's phone": {"user_id": "ann", "device_id": "phone"},
            "bob's laptop for an hour": {
                "user_id": "bob",
                "device_id": "laptop",
                "device_class": "web",
                "expires_in_s": 3600,
            },
        },
    ),
    "POST /v1/messages": Examples(
        {201: _SENT, 200: _SENT},
        requests={
            "text to bob": _send("first-message", "text", _HELLO),
            "text into a conversation": _send(
                "second-message", "text", {"text": "Are you there?"}, conversation_id=DIRECT
            ),
            "image": _send(
                "a-picture",
                "image",
                {
                    "url": "https://media.example/cat.png",
                    "mime": "image/png",
                    "width": 640,
                    "height": 480,
                    "size_bytes": 81920,
                },
            ),
            "voice": _send(
                "a-recording",
                "voice",
                {"url": "https://media.example/note.ogg", "duration_ms": 4200, "mime": "audio/ogg"},
            ),
            "file": _send(
                "a-file",
                "file",
                {"url": "https://media.example/menu.pdf", "name": "menu.pdf", "mime": "application/pdf"},
            ),
            "custom": _send("a-poll", "custom", {"poll": "Noon?", "choices": ["yes", "no"]}),
        },
    ),
    "GET /v1/conversations/{conversation_id}/messages": Examples(
        {200: {"messages": [_message(1)], "more": False, "referenced": []}},
        {**_OF_DIRECT, "limit": {"a page": 20}},
    ),
    "POST /v1/messages:batch": Examples(
        {
            200: {
                "results": [
                    _SENT | {"message_id": message_id(DIRECT, 2), "seq": 2},
                    _SENT | {"message_id": message_id(DIRECT, 3), "seq": 3},
                ]
            }
        },
        requests={
            "two texts to bob": {
                "messages": [
                    _send("batch-1", "text", {"text": "Two more"}),
                    _send("batch-2", "text", {"text": "The last one"}),
                ]
            }
        },
    ),
    "GET /v1/messages/{message_id}": Examples({200: _message(1)}, _FIRST),
    "GET /v1/messages/{message_id}/versions": Examples(
        {200: {"versions": [{"rev": 1, "body": _HELLO, "at": _SENT_AT}]}}, _FIRST
    ),
    "GET /v1/messages/{message_id}/readers": Examples({200: {"readers": []}}, _FIRST),
    "PATCH /v1/messages/{message_id}": Examples(
        {200: _EDITED},
        _FIRST,
        {"a comma": {"client_message_id": "first-edit", "body": {"text": "Hello, Bob!"}}},
    ),
    "DELETE /v1/messages/{message_id}": Examples(
        {200: _message(2, body={}, rev=5, recalled={"by": "ann", "at": "2026-03-02T09:32:00.000Z"})}, _SECOND
    ),
    "DELETE /v1/messages/{message_id}/mine": Examples({200: {}}, _THIRD),
    "PUT /v1/messages/{message_id}/reactions/{key}": Examples({200: _REACTED}, _FIRST | _THUMBS_UP),
    "DELETE /v1/messages/{message_id}/reactions/{key}": Examples(
        {200: _REACTED | {"reactions": {}}}, _FIRST | _THUMBS_UP
    ),
    "PUT /v1/messages/{message_id}/pin": Examples(
        {200: {"message_id": message_id(DIRECT, 1), "pinned": True}}, _FIRST
    ),
    "DELETE /v1/messages/{message_id}/pin": Examples(
        {200: {"message_id": message_id(DIRECT, 1), "pinned": False}}, _FIRST
    ),
    "GET /v1/sync": Examples(
        {
            200: {
                "entries": [{"seq": 1, "type": "message", "message": _EDITED}],
                "cursor": 1,
                "head": 1,
                "more": False,
            }
        },
        {"cursor": {"from the beginning": 0}, "limit": {"a page": 100}, "wait_s": {"ten seconds": 10}},
    ),
    "POST /v1/sync/ack": Examples({200: {"cursor": 1}}, requests={"the first entry": {"cursor": 1}}),
    "GET /v1/sync/ack": Examples({200: {"cursor": 1}}),
    "GET /v1/me": Examples({200: _MYSELF}),
    "PATCH /v1/me": Examples(
        {200: _MYSELF},
        requests={"everyone": {"last_seen": "everyone"}, "contacts alone": {"last_seen": "contacts"}},
    ),
    "GET /v1/presence": Examples(
        {
            200: {
                "users": [
                    {"user_id": "bob", "online": True},
                    {"user_id": "ann", "online": False, "last_seen": _SENT_AT},
                ]
            }
        },
        {"user_ids": {"bob and ann": "bob,ann"}},
    ),
    "POST /v1/conversations": Examples(
        {201: _CREATED, 200: _OPENED},
        requests={
            "a group": {"kind": "group", "title": "Lunch", "members": ["bob"]},
            "the direct conversation with bob": {"kind": "direct", "with": "bob"},
            "ann's notes": {"kind": "direct", "with": "ann"},
        },
    ),
    "GET /v1/conversations": Examples({200: _LISTED}, {"limit": {"a page": 20}}),
    "GET /v1/snapshot": Examples(
        {
            200: {
                "head": 1,
                **_LISTED,
                "conversations": [_LISTED["conversations"][1] | {"messages": [_message(1)]}],
            }
        },
        {"limit": {"a page": 20}, "messages": {"ten of each": 10}},
    ),
    "GET /v1/conversations/{conversation_id}": Examples({200: _OPENED}, _OF_DIRECT),
    "PUT /v1/conversations/{conversation_id}/read": Examples(
        {200: {"read_seq": 1, "unread": 0, "marked_unread": False}}, _OF_DIRECT, {"the first": {"seq": 1}}
    ),
    "PUT /v1/conversations/{conversation_id}/unread": Examples(
        {200: {"read_seq": 1, "unread": 0, "marked_unread": True}}, _OF_DIRECT, {"nothing": {}}
    ),
    "PATCH /v1/conversations/{conversation_id}/me": Examples(
        {200: _ME | {"pinned": True}},
        _OF_DIRECT,
        {
            "pin": {"pinned": True},
            "mute": {"muted_until": "2030-01-01T00:00:00.000Z"},
            "draft": {"draft": "Shall we"},
            "archive": {"archived": True},
        },
    ),
    "GET /v1/conversations/{conversation_id}/pins": Examples(
        {200: {"messages": [], "referenced": []}}, _OF_DIRECT
    ),
    "PATCH /v1/conversations/{conversation_id}": Examples(
        {200: _CREATED | {"title": "Supper"}}, _OF_GROUP, {"a new title": {"title": "Supper"}}
    ),
    "PUT /v1/conversations/{conversation_id}/members/{user_id}": Examples({200: _CREATED}, _OF_GROUP | _BOB),
    "DELETE /v1/conversations/{conversation_id}/members/{user_id}": Examples(
        {200: _CREATED | {"members": ["ann"]}}, _OF_GROUP | _BOB
    ),
}
"""By `Route.name`."""

_OF_A_GROUP = [name for name, one in EXAMPLES.items() if _OF_GROUP.items() <= one.parameters.items()]
LINKS = {"POST /v1/conversations": {201: _OF_A_GROUP}}
"""Route → status → the routes whose `conversation_id` is in that answer."""
