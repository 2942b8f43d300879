"""What is not exactly as described is refused in the one form of errors, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from domain.limits import FRAME_BYTES
from tests.api.people import bearer, message, refused
from tests.docs.running import TOKEN_KEY

HUGE = 70_000


@pytest.fixture(scope="module")
def town(person):
    """Ann and Bob with their conversation; a group and a conversation that Ann is not in."""
    ann, bob, cem = person(), person(), person()
    places = {
        "direct": ann.direct(bob),
        "group": bob.group(cem),
        "theirs": bob.direct(cem),
        "bob": bob.user_id,
    }
    return ann, bob, places


BAD_SENDS: dict[str, tuple[Any, int, str]] = {
    "unknown field": ({"extra": 1}, 400, "bad_request"),
    "unknown field in the body": ({"body": {"text": "a", "extra": 1}}, 400, "bad_request"),
    "id is a number": ({"client_message_id": 5}, 400, "bad_request"),
    "id is empty": ({"client_message_id": ""}, 400, "bad_request"),
    "id is too long": ({"client_message_id": "x" * 129}, 400, "bad_request"),
    "id is null": ({"client_message_id": None}, 400, "bad_request"),
    "unknown kind": ({"kind": "smoke"}, 400, "bad_request"),
    "kind of the server": ({"kind": "system"}, 400, "bad_request"),
    "body is a string": ({"body": "hello"}, 400, "bad_request"),
    "body is empty": ({"body": {}}, 400, "bad_request"),
    "text is a number": ({"body": {"text": 1}}, 400, "bad_request"),
    "conversation and user": ({"to": "someone"}, 400, "bad_request"),
    "conversation id of no form": ({"conversation_id": "x y"}, 400, "bad_request"),
    "unknown conversation": ({"conversation_id": "g:aaaaaaaaaaaaaaaa"}, 404, "not_found"),
    "not a member": ({"conversation_id": "{group}"}, 403, "forbidden"),
    "too large": ({"body": {"text": "x" * HUGE}}, 413, "too_large"),
}


@pytest.mark.parametrize("name", BAD_SENDS)
def test_a_bad_send_is_refused_and_stores_nothing(town, name):
    ann, bob, places = town
    change, status, code = BAD_SENDS[name]
    place = change.get("conversation_id", "").format(**places)
    sent = message(places["direct"]) | change | ({"conversation_id": place} if place else {})
    before = bob.get("/v1/sync", limit=1)["head"]
    refused(ann.ask("POST", "/v1/messages", json=sent), status, code)
    ann.send(places["direct"], "after it")
    assert [entry["message"]["body"]["text"] for entry in bob.arrived(before + 1)][before:] == ["after it"]


@pytest.mark.parametrize("field", ["client_message_id", "kind", "body", "conversation_id"])
def test_a_missing_field_is_named(town, field):
    ann, _, places = town
    sent = message(places["direct"])
    del sent[field]
    assert refused(ann.ask("POST", "/v1/messages", json=sent), 400, "bad_request")["field"] == field


DEEP = b"[" * 20_000 + b"]" * 20_000
BAD_BYTES = {
    "empty": b"",
    "not JSON": b"{",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "twice": b"{} {}",
    "not UTF-8": b'{"client_message_id":"\xff"}',
    "half a surrogate": b'{"client_message_id":"\\ud800","kind":"text","body":{"text":"a"},"to":"bob"}',
    "NaN": b'{"client_message_id":"n","kind":"custom","body":{"n":NaN},"to":"bob"}',
    "infinity": b'{"client_message_id":"n","kind":"custom","body":{"n":1e999},"to":"bob"}',
    "duplicate key": b'{"client_message_id":"a","client_message_id":"b","kind":"text","body":{"text":"a"}}',
    "duplicate key inside": b'{"client_message_id":"d","kind":"custom","body":{"a":1,"a":2},"to":"bob"}',
    "deep": DEEP,
    "deep inside": b'{"client_message_id":"d","kind":"custom","body":{"a":%b},"to":"bob"}' % DEEP,
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bytes_that_are_no_request_are_refused_and_store_nothing(town, name):
    ann, bob, places = town
    content = BAD_BYTES[name].replace(b'"to":"bob"', f'"to":"{bob.user_id}"'.encode())
    before = bob.get("/v1/sync", limit=1)["head"]
    refused(ann.ask("POST", "/v1/messages", content=content), 400, "bad_request")
    ann.send(places["direct"], "after it")
    assert bob.arrived(before + 1)[before]["message"]["body"] == {"text": "after it"}
    assert bob.get("/v1/sync", limit=1)["head"] == before + 1


def test_a_request_above_its_bound_is_refused_whatever_it_holds(town):
    """I8: here a small message and much white space."""
    ann, bob, places = town
    before = bob.get("/v1/sync", limit=1)["head"]
    content = json.dumps(message(places["direct"])).encode()
    assert ann.ask("POST", "/v1/messages", content=content.ljust(FRAME_BYTES)).status_code == 201
    refused(ann.ask("POST", "/v1/messages", content=content.ljust(FRAME_BYTES + 1)), 413, "too_large")
    bob.arrived(before + 1)


BAD_REQUESTS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/v1/sync?limit=0", None, 400, "bad_request"),
    ("GET", "/v1/sync?limit=201", None, 400, "bad_request"),
    ("GET", "/v1/sync?limit=many", None, 400, "bad_request"),
    ("GET", "/v1/sync?limit=", None, 400, "bad_request"),
    ("GET", "/v1/sync?cursor=-1", None, 400, "bad_request"),
    ("GET", "/v1/sync?cursor=9007199254740992", None, 400, "bad_request"),
    ("GET", "/v1/sync?cursor=1000000", None, 409, "cursor_ahead"),
    ("GET", "/v1/sync?wait_s=61", None, 400, "bad_request"),
    ("GET", "/v1/sync?wait_s=-1", None, 400, "bad_request"),
    ("GET", "/v1/sync?wait_s=nan", None, 400, "bad_request"),
    ("GET", "/v1/sync?what=1", None, 400, "bad_request"),
    ("GET", "/v1/sync?limit=1&limit=2", None, 400, "bad_request"),
    ("GET", "/v1/sync/ack?what=1", None, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {"cursor": -1}, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {"cursor": "1"}, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {"cursor": True}, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {"cursor": 1.5}, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {}, 400, "bad_request"),
    ("POST", "/v1/sync/ack", {"cursor": 1_000_000}, 409, "cursor_ahead"),
    ("GET", "/v1/conversations?cursor=what", None, 400, "bad_request"),
    ("GET", "/v1/conversations?cursor=%C3%A9", None, 400, "bad_request"),
    ("GET", "/v1/conversations?limit=0", None, 400, "bad_request"),
    ("GET", "/v1/conversations?cursor=null", None, 400, "bad_request"),
    ("GET", "/v1/conversations?cursor=abc", None, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "crowd"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"with": "x"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct", "with": "a b"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct", "with": "a\n"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct", "with": "x", "title": "t"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct", "with": "nobody-at-all"}, 404, "not_found"),
    ("POST", "/v1/conversations", {"kind": "group", "members": "x"}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "group", "members": [1]}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "group", "members": ["nobody-at-all"]}, 404, "not_found"),
    ("POST", "/v1/conversations", {"kind": "group", "members": [], "title": ""}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "direct", "with": ".."}, 400, "bad_request"),
    ("POST", "/v1/conversations", {"kind": "group", "members": ["."]}, 400, "bad_request"),
    ("POST", "/v1/messages", {"to": "."}, 400, "bad_request"),
    ("GET", "/v1/conversations/d:.:ann", None, 400, "bad_request"),
    ("GET", "/v1/conversations/d:..:ann/messages", None, 400, "bad_request"),
    ("PUT", "/v1/conversations/{group}/members/%2E", None, 400, "bad_request"),
    ("DELETE", "/v1/conversations/{group}/members/%2E%2E", None, 400, "bad_request"),
    ("GET", "/v1/conversations/what", None, 400, "bad_request"),
    ("GET", "/v1/conversations/g:aaaaaaaaaaaaaaaa", None, 404, "not_found"),
    ("GET", "/v1/conversations/{group}", None, 403, "forbidden"),
    ("GET", "/v1/conversations/{group}/messages", None, 403, "forbidden"),
    ("GET", "/v1/conversations/{theirs}/messages", None, 403, "forbidden"),
    ("GET", "/v1/conversations/{direct}/messages?before=-1", None, 400, "bad_request"),
    ("GET", "/v1/conversations/{direct}/messages?before=null", None, 400, "bad_request"),
    ("GET", "/v1/conversations/{direct}/messages?limit=201", None, 400, "bad_request"),
    ("GET", "/v1/conversations/{direct}/messages?from=1", None, 400, "bad_request"),
    ("PATCH", "/v1/conversations/{group}", {"title": "mine"}, 403, "forbidden"),
    ("PATCH", "/v1/conversations/{group}", {}, 400, "bad_request"),
    ("PUT", "/v1/conversations/{group}/members/{bob}", None, 403, "forbidden"),
    ("DELETE", "/v1/conversations/{group}/members/{bob}", None, 403, "forbidden"),
    ("PUT", "/v1/users/{bob}", {"name": "Bob"}, 403, "forbidden"),
    ("POST", "/v1/tokens", {"user_id": "{bob}", "device_id": "d"}, 403, "forbidden"),
    ("DELETE", "/v1/messages", None, 405, "method_not_allowed"),
    ("GET", "/v1/messages", None, 405, "method_not_allowed"),
    ("POST", "/v1/sync", {}, 405, "method_not_allowed"),
    ("GET", "/v1/nothing", None, 404, "not_found"),
    ("GET", "/nothing", None, 404, "not_found"),
]


@pytest.mark.parametrize("method, path, body, status, code", BAD_REQUESTS)
def test_a_bad_request_is_refused(town, method, path, body, status, code):
    ann, _, places = town
    content = None if body is None else json.dumps(body)
    refused(ann.ask(method, path.format(**places), content=content), status, code)


def test_a_wrong_method_is_told_the_right_ones(town):
    ann, _, _ = town
    allowed = ann.ask("DELETE", "/v1/sync/ack").headers["allow"]
    assert {word.strip() for word in allowed.split(",")} >= {"GET", "POST"}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic abc", "Bearer abc", "Bearer a.b.c", "Bearer \xe9\xff", "bearer {} {}"],
)
def test_a_request_without_a_right_token_is_refused(town, header):
    ann, _, _ = town
    answer = ann.server.http.get("/v1/sync", headers={"Authorization": header.encode("latin-1")})
    refused(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_request_without_the_header_is_refused(town):
    refused(town[0].server.http.get("/v1/sync"), 401, "unauthenticated")


@pytest.mark.parametrize(
    "change",
    [{"exp": 1}, {"exp": None}, {"exp": "soon"}, {"sub": None}, {"sub": 5}, {"dev": None}],
    ids=str,
)
def test_a_token_that_says_too_little_or_is_over_is_refused(town, change):
    ann, _, _ = town
    claims = {"sub": ann.user_id, "dev": "phone", "exp": 4_000_000_000} | change
    claims = {name: value for name, value in claims.items() if value is not None}
    token = jwt.encode(claims, TOKEN_KEY, "HS256") if claims.get("sub") != 5 else _signed(claims)
    refused(ann.server.http.get("/v1/sync", headers=bearer(token)), 401, "unauthenticated")


def _signed(claims: dict[str, Any]) -> str:
    """Also what PyJWT would not encode itself."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), TOKEN_KEY, "HS256")


def test_a_token_of_another_key_or_of_none_is_refused(town):
    ann, _, _ = town
    claims = {"sub": ann.user_id, "dev": "phone", "exp": 4_000_000_000}
    for token in (jwt.encode(claims, "x" * 64, "HS256"), jwt.encode(claims, None, "none")):
        refused(ann.server.http.get("/v1/sync", headers=bearer(token)), 401, "unauthenticated")


@pytest.mark.parametrize(
    "change",
    [
        {"expires_in_s": 0},
        {"expires_in_s": "1"},
        {"device_id": ""},
        {"device_id": "a b"},
        {"device_id": "x" * 65},
        {"device_id": "."},
        {"device_id": ".."},
        {"user_id": "."},
        {"user_id": ".."},
        {"device_class": ""},
        {"admin": True},
    ],
    ids=str,
)
def test_a_bad_token_order_is_refused(town, change):
    ann, _, _ = town
    order = {"user_id": ann.user_id, "device_id": "phone"} | change
    refused(ann.server.admin("POST", "/v1/tokens", json=order), 400, "bad_request")


@pytest.mark.parametrize("user", ["%2E", "%2e%2E"])
def test_a_user_that_no_path_can_name_is_not_made(server, user):
    error = refused(server.admin("PUT", f"/v1/users/{user}", json={}), 400, "bad_request")
    assert error["field"] == "user_id"
    assert "neither . nor .." in error["message"]


def test_a_token_for_nobody_is_refused(server):
    order = {"user_id": "nobody-at-all", "device_id": "phone"}
    refused(server.admin("POST", "/v1/tokens", json=order), 404, "not_found")


def test_a_wrong_admin_key_is_refused(server):
    answer = server.http.put("/v1/users/x", json={}, headers=bearer("wrong"))
    refused(answer, 401, "unauthenticated")
