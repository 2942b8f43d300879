"""Entries are told apart by what they keep, and texts are found wherever they stand."""

from __future__ import annotations

import json

import msgspec

from tests.texts import token, tokens_in
from tests.torture.wire import Entry, carried, got, name_of

SENT = {
    "message_id": "d:a:b:1",
    "conversation_id": "d:a:b",
    "seq": 1,
    "sender_id": "a",
    "client_message_id": "m1",
    "kind": "text",
    "body": {"text": "<m1>"},
    "sent_at": "2026-01-02T03:04:05.678Z",
}


def test_message_is_itself_whatever_changed_it():
    was, pinned = got(1, "message", SENT), got(1, "message", SENT | {"pinned": True})
    edited = got(1, "message", SENT | {"rev": 2, "body": {"text": "<m1.1>"}})
    recalled = got(1, "message", SENT | {"recalled": {"by": "a"}, "body": {}})
    assert was == pinned
    assert was.fits(edited)
    assert was.fits(recalled)
    assert not was.fits(got(1, "message", SENT | {"body": {"text": "<m2>"}}))
    assert not was.fits(got(1, "message", SENT | {"sender_id": "b"}))


def test_element_of_a_ring_is_the_entry_that_is_pulled():
    value = {"message_id": "d:a:b:1", "rev": 3, "pinned": True, "by": "a"}
    raw = json.dumps({"type": "pin", "pin": value}).encode()
    pulled = msgspec.json.decode(json.dumps({"seq": 4, "type": "pin", "pin": value}), type=Entry)
    assert carried(4, raw) == pulled.got() == got(4, "pin", value)
    assert carried(1, json.dumps(SENT).encode()) == got(1, "message", SENT)


def test_entry_of_another_type_is_told_by_what_it_is_about():
    assert name_of("edit", SENT) == "edit d:a:b:1"
    assert name_of("settings", {"conversation_id": "d:a:b"}) == "settings d:a:b"


def test_tokens_are_found_in_any_text():
    raw = json.dumps([token("m1") + "xx", {"text": f"say {token('m12', 3)} again"}, "<b>"]).encode()
    assert tokens_in(raw) == {"m1", "m12"}
    assert tokens_in(token("m3/14", 2).encode()) == {"m3/14"}
