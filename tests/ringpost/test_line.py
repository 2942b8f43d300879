"""An entry as a line: every type has words of its own, and no text leaves its place."""

from __future__ import annotations

import io
from typing import Any, get_args

import msgspec
import pytest

from api.views_entries import EntryView
from ringpost.line import line_of, word
from ringpost.output import quoted

HOSTILE = 'a\r\nb\u2028c\x85d\x1b]0;t\x07\x9b31m\x7f\u202ee\u2066\ud800[red]f[/red]"\\'


def message(**fields: Any) -> dict[str, Any]:
    said = {"message_id": "d:ann:bob:3", "sender_id": "ann", "kind": "text", "body": {"text": "hi"}}
    return {**said, **fields}


def conversation(event: str, **fields: Any) -> dict[str, Any]:
    members = [
        {"user_id": "bob", "role": "admin", "muted_until": "2030"},
        {"user_id": "ann", "role": "owner"},
    ]
    change = {"event": event, "by": "ann", "user_id": "bob"}
    return {"conversation_id": "g:a", "title": "Lunch", "members": members, "change": change, **fields}


READ = {"conversation_id": "d:ann:bob", "read_seq": 3, "unread": 0, "marked_unread": False}
RECEIPT = {"conversation_id": "d:ann:bob", "user_id": "bob"}
SETTINGS = {"conversation_id": "d:ann:bob", "pinned": False, "archived": False}
PIN = {"message_id": "d:ann:bob:3", "pinned": True, "by": "bob"}
MANY = {"👍": {"count": 22, "by": ["ann", "bob"]}, ":ok:": {"count": 1, "by": ["cem"]}}


@pytest.mark.parametrize(
    "type_, told, shown",
    [
        ("message", message(), 'd:ann:bob:3 ann: "hi"'),
        (
            "message",
            message(reply_to="d:ann:bob:1", mentions=["bob", "cem"]),
            'd:ann:bob:3 ann: "hi" (reply to d:ann:bob:1; mentions bob, cem)',
        ),
        (
            "message",
            message(forward_of={"message_id": "g:a:7", "sender_id": "cem"}, mentions="all"),
            'd:ann:bob:3 ann: "hi" (forward of g:a:7 by cem; mentions all)',
        ),
        (
            "message",
            message(pinned=True, reactions=MANY),
            'd:ann:bob:3 ann: "hi" (reactions 👍 22, :ok: 1; pinned)',
        ),
        (
            "message",
            message(kind="file", body={"url": "http://h/é"}),
            'd:ann:bob:3 ann: file {"url": "http://h/é"}',
        ),
        ("edit", message(edited_at="2030"), 'd:ann:bob:3 ann: "hi" (edited)'),
        ("recall", message(body={}, recalled={"by": "bob"}), "d:ann:bob:3 ann: recalled by bob"),
        ("message", message(body={}, recalled={"by": "bob"}), "d:ann:bob:3 ann: recalled by bob"),
        (
            "reactions",
            {"message_id": "g:a:3", "reactions": MANY},
            "g:a:3 👍 22 (ann, bob, 20 more), :ok: 1 (cem)",
        ),
        ("reactions", {"message_id": "g:a:3", "reactions": {}}, "g:a:3 none"),
        ("pin", PIN, "d:ann:bob:3 pinned by bob"),
        ("pin", {**PIN, "pinned": False}, "d:ann:bob:3 unpinned by bob"),
        ("read", READ, "d:ann:bob up to 3, 0 unread"),
        (
            "read",
            {**READ, "unread": 1000, "unread_more": True, "marked_unread": True},
            "d:ann:bob up to 3, more than 1000 unread, marked as unread",
        ),
        ("receipt", {**RECEIPT, "read_seq": 3}, "d:ann:bob bob has read up to 3"),
        (
            "receipt",
            {**RECEIPT, "read_seq": 3, "delivered_seq": 4},
            "d:ann:bob bob has received up to 4, has read up to 3",
        ),
        ("settings", SETTINGS, "d:ann:bob none"),
        ("settings", {**SETTINGS, "pinned": True}, "d:ann:bob pinned"),
        (
            "settings",
            {**SETTINGS, "archived": True, "muted_until": "2030", "draft": "a\nb", "cleared_seq": 2},
            r'd:ann:bob archived, muted until 2030, cleared up to 2, draft "a\nb"',
        ),
        ("hidden", {"message_id": "d:ann:bob:3"}, "d:ann:bob:3 deleted for you"),
        ("conversation", conversation("created"), 'g:a ann created "Lunch"'),
        ("conversation", conversation("created", title=None), "g:a ann created it"),
        ("conversation", conversation("title"), 'g:a ann changed the title to "Lunch"'),
        ("conversation", conversation("picture"), "g:a ann changed the picture"),
        ("conversation", conversation("settings"), "g:a ann changed the settings: all members may write"),
        (
            "conversation",
            conversation("settings", announcement_only=True),
            "g:a ann changed the settings: only admins may write",
        ),
        ("conversation", conversation("role"), "g:a ann changed the role of bob to admin"),
        ("conversation", conversation("muted"), "g:a ann changed until when bob is muted: 2030"),
        ("conversation", conversation("muted", members=[]), "g:a ann changed until when bob is muted"),
        ("conversation", conversation("added"), "g:a ann added bob"),
        ("conversation", conversation("joined"), "g:a bob joined"),
        ("conversation", conversation("removed"), "g:a ann removed bob"),
        ("conversation", conversation("left", change={"event": "left", "by": "cem"}), "g:a cem left"),
        ("conversation", conversation("owner"), "g:a bob is the owner now"),
        ("conversation", conversation("dissolved"), "g:a ann dissolved it"),
        ("conversation", conversation("a new one"), 'g:a "a new one" by ann'),
    ],
)  # fmt: skip
def test_line_says_what_the_entry_says(type_, told, shown):
    assert line_of({"seq": 5, "type": type_, type_: told}) == f"5 {type_} {shown}"


def test_every_type_of_the_api_has_words():
    tags = {msgspec.inspect.type_info(view).tag for view in get_args(EntryView)}
    assert {"message", "edit", "hidden"} <= tags
    for tag in tags:
        assert "this type" not in line_of({"seq": 1, "type": tag})


@pytest.mark.parametrize(
    "entry, shown",
    [
        ({"type": "poll", "poll": {}}, "poll: this version does not know this type of entry"),
        ({"type": "a\nb", "a\nb": {}}, r'"a\nb": this version does not know this type of entry'),
        ({}, "entry without a type"),
        ({"type": ["message"]}, "entry without a type"),
        ({"type": "message"}, "message: this version does not know this form of entry"),
        ({"type": "message", "message": 3}, "message: this version does not know this form of entry"),
        ({"type": "edit", "edit": message(body=[])}, "edit: this version does not know this form of entry"),
        ({"type": "pin", "pin": {}}, "pin: this version does not know this form of entry"),
        (
            {"type": "message", "message": message(mentions=7)},
            "message: this version does not know this form of entry",
        ),
        (
            {"type": "reactions", "reactions": {"message_id": "g:a:1", "reactions": []}},
            "reactions: this version does not know this form of entry",
        ),
    ],
)
def test_what_is_not_known_is_called_so(entry, shown):
    assert line_of({"seq": 1, **entry}) == f"1 {shown}"


def test_text_of_people_stays_one_harmless_line_of_plain_text():
    everywhere = message(
        message_id=HOSTILE,
        sender_id=HOSTILE,
        body={"text": HOSTILE},
        reply_to=HOSTILE,
        forward_of={"message_id": HOSTILE, "sender_id": HOSTILE},
        mentions=[HOSTILE],
        reactions={HOSTILE: {"count": HOSTILE}},
    )
    reactions = {"message_id": "g:a:1", "reactions": {HOSTILE: {"count": 1, "by": [HOSTILE]}}}
    for entry in (
        {"type": "message", "message": everywhere},
        {"type": "edit", "edit": {**everywhere, "kind": HOSTILE}},
        {"type": "recall", "recall": {**everywhere, "recalled": {"by": HOSTILE}}},
        {"type": "reactions", "reactions": reactions},
        {"type": "settings", "settings": {**SETTINGS, "draft": HOSTILE, "muted_until": HOSTILE}},
        {"type": "conversation", "conversation": conversation("title", title=HOSTILE)},
        {"type": "conversation", "conversation": conversation(HOSTILE)},
        {"type": HOSTILE},
    ):
        line = line_of({"seq": 1, **entry})
        assert quoted(HOSTILE) in line
        assert len(line.splitlines()) == 1
        assert not {"\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u2066"} & set(line)
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict").write(line)


def test_text_cannot_pass_for_what_the_line_says_of_it():
    shown = line_of({"seq": 1, "type": "message", "message": message(body={"text": 'hi" (edited)'})})
    assert shown == r'1 message d:ann:bob:3 ann: "hi\" (edited)"'


@pytest.mark.parametrize("plain", ["ann", "..x", "-x", "d:ann:bob:3", ":ok:", "👍", "👨‍👩‍👧", "你好"])
def test_one_word_stands_as_it_is(plain):
    assert word(plain) == plain


@pytest.mark.parametrize("value", ["", "a b", "a,b", "a;b", "(a", '"', "a\tb", "\x1b", None, 3, True, {}])
def test_what_is_no_word_stands_as_json(value):
    assert word(value) == quoted(value)
