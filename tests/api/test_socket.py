"""The WebSocket: hello, frames both ways, and the codes with which it ends."""

from __future__ import annotations

import json

import pytest

from tests.api.people import bearer, message, opened


def numbers(entries):
    return [entry["seq"] for entry in entries]


def test_a_token_in_the_header_is_welcomed(ann):
    with ann.socket() as socket:
        welcome = socket.welcome
        assert (welcome["user_id"], welcome["device_id"]) == (ann.user_id, ann.device_id)
        assert (welcome["cursor"], welcome["head"], welcome["heartbeat_s"]) == (0, 0, 0.5)
        assert welcome["session_id"]


def test_a_token_in_the_first_frame_is_welcomed(ann):
    with opened(ann.server) as socket:
        socket.say(type="hello", token=ann.token)
        assert socket.next("welcome")["user_id"] == ann.user_id


def test_who_says_something_else_first_is_closed(ann):
    with opened(ann.server, bearer(ann.token)) as socket:
        socket.say(type="ping")
        assert socket.closed() == 4503


@pytest.mark.parametrize("hello", [{}, {"token": "wrong"}, {"token": ""}], ids=str)
def test_a_wrong_token_is_told_so_and_closed(server, hello):
    with opened(server) as socket:
        socket.say(type="hello", **hello)
        assert socket.next("error")["error"]["code"] == "unauthenticated"
        assert socket.closed() == 4501


BAD_FRAMES = [
    "",
    "no JSON",
    "[]",
    "null",
    '{"type":"what"}',
    '{"type":"ping","extra":1}',
    '{"type":"ping","type":"ping"}',
    '{"type":"ack"}',
    '{"type":"ack","cursor":-1}',
    '{"type":"hello"}',
    "[" * 5000,
    b'{"type":"ping"}',
]


@pytest.mark.parametrize("frame", BAD_FRAMES, ids=lambda frame: repr(frame)[:30])
def test_a_bad_frame_closes(ann, frame):
    with ann.socket() as socket:
        socket.connection.send(frame)
        assert socket.closed() == 4500


@pytest.mark.parametrize("frame", ["no JSON", b"{}", '{"type":"hello","cursor":-1}'], ids=repr)
def test_a_bad_first_frame_closes(ann, frame):
    with opened(ann.server, bearer(ann.token)) as socket:
        socket.connection.send(frame)
        assert socket.closed() == 4500


def test_a_cursor_ahead_of_the_inbox_closes(ann):
    with opened(ann.server, bearer(ann.token)) as socket:
        socket.say(type="hello", cursor=7)
        assert socket.next("error")["error"]["code"] == "cursor_ahead"
        assert socket.closed() == 4500


def test_a_send_is_answered_with_its_ref(ann, bob):
    sent = message(ann.direct(bob))
    with ann.socket() as socket:
        socket.say(type="send", ref="r1", **sent)
        frame = socket.answer("sent")
        assert (frame["ref"], frame["seq"]) == ("r1", 1)
        answer = ann.ask("POST", "/v1/messages", json=sent)
        assert answer.status_code == 200
        assert frame == {"type": "sent", "ref": "r1", **answer.json()}


def test_a_refused_send_is_answered_with_its_ref_and_the_socket_stays(ann, bob):
    direct, theirs = ann.direct(bob), bob.group()
    refusals = [
        (message(theirs), "forbidden"),
        (message("g:aaaaaaaaaaaaaaaa"), "not_found"),
        (message(direct, extra=1), "bad_request"),
        (message(direct, body={}), "bad_request"),
        (message(direct, "x" * 70_000), "too_large"),
    ]
    with ann.socket() as socket:
        for ref, (sent, code) in enumerate(refusals):
            socket.say(type="send", ref=ref, **sent)
            frame = socket.next("error")
            assert (frame["ref"], frame["error"]["code"]) == (ref, code)
            assert frame["error"].keys() >= {"code", "message", "retriable"}
        socket.say(type="ping", ref=1)
        assert socket.next("pong") == {"type": "pong", "ref": 1}
    assert ann.get(f"/v1/conversations/{direct}/messages")["messages"] == []


def test_send_with_half_a_character_is_answered_with_its_ref_and_the_socket_stays(ann, bob):
    sent = json.dumps({"type": "send", "ref": "r", **message(ann.direct(bob), "hi \ud83d")})
    assert "\\ud83d" in sent
    with ann.socket() as socket:
        socket.connection.send(sent)
        frame = socket.next("error")
        assert (frame["ref"], frame["error"]["code"]) == ("r", "bad_request")
        socket.say(type="ping", ref=1)
        assert socket.next("pong") == {"type": "pong", "ref": 1}


@pytest.mark.parametrize("ref", [True, 1.5, None, []], ids=repr)
def test_send_whose_ref_is_none_closes(ann, ref):
    with ann.socket() as socket:
        socket.say(type="send", ref=ref, what=1)
        assert "ref" not in socket.next("error")
        assert socket.closed() == 4500


def test_a_ping_is_answered(ann):
    with ann.socket() as socket:
        socket.say(type="ping")
        assert socket.next("pong") == {"type": "pong"}
        socket.say(type="ping", ref="p")
        assert socket.next("pong") == {"type": "pong", "ref": "p"}


def test_a_heartbeat_tells_the_head(ann, bob):
    ann.send(ann.direct(bob))
    bob.arrived(1)
    with bob.socket(cursor=1) as socket:
        assert socket.next("heartbeat") == {"type": "heartbeat", "head": 1}


def test_entries_come_in_order_each_once(ann, bob):
    conversation = ann.direct(bob)
    for _ in range(3):
        ann.send(conversation)
    with bob.socket(cursor=0) as socket:
        for _ in range(20):
            ann.send(conversation)
        entries = socket.entries(23)
    assert numbers(entries) == list(range(1, 24))
    assert entries == bob.arrived(23)


def test_who_comes_back_gets_exactly_what_was_missed(ann, bob):
    conversation = ann.direct(bob)
    with bob.socket() as socket:
        ann.send(conversation)
        assert numbers(socket.entries(1)) == [1]
    for _ in range(3):
        ann.send(conversation)
    bob.arrived(4)
    with bob.socket(cursor=1) as socket:
        assert (socket.welcome["cursor"], socket.welcome["head"]) == (1, 4)
        ann.send(conversation)
        assert numbers(socket.entries(4)) == [2, 3, 4, 5]


def test_who_gives_no_cursor_begins_after_what_was_acknowledged(ann, bob):
    conversation = ann.direct(bob)
    for _ in range(3):
        ann.send(conversation)
    bob.arrived(3)
    with bob.socket(cursor=3) as socket:
        socket.say(type="ack", cursor=2)
        socket.say(type="ping")
        socket.next("pong")
    with bob.socket() as socket:
        assert socket.welcome["cursor"] == 2
        assert numbers(socket.entries(1)) == [3]


def test_a_newer_connection_of_the_same_device_replaces_the_older(ann, server):
    tablet = server.person(ann.user_id, "tablet")
    with tablet.socket() as other, ann.socket() as older, ann.socket() as newer:
        assert older.closed() == 4504
        for socket in (newer, other):
            socket.say(type="ping")
            assert socket.next("pong")
