"""A device knows the same by the rules of the contract, in whatever order and however often entries come."""

from __future__ import annotations

import itertools

import pytest

from tests.replica import Replica, shown

PAIR = "d:ann:bob"
ONE = f"{PAIR}:1"
MESSAGE = {"message_id": ONE, "sender_id": "ann", "body": {"text": "one"}}
SECOND = MESSAGE | {"rev": 2, "body": {"text": "two"}}
THIRD = MESSAGE | {"rev": 3, "body": {"text": "three"}}
GONE = MESSAGE | {"rev": 4, "body": {}, "recalled": {"by": "ann", "at": "now"}}
OK = {":ok:": {"count": 1, "by": ["bob"]}}


def replica(*entries: tuple[str, dict]) -> Replica:
    made = Replica("bob")
    for type_, value in entries:
        made.take(type_, value)
    return made


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_higher_revision_wins(order):
    entries = [("message", MESSAGE), ("edit", SECOND), ("edit", THIRD)]
    assert replica(*[entries[n] for n in order]).history(PAIR)[ONE]["text"] == "three"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_recall_is_final(order):
    entries = [
        ("recall", GONE),
        ("edit", MESSAGE | {"rev": 9, "body": {"text": "late"}}),
        ("reactions", {"message_id": ONE, "rev": 8, "reactions": OK}),
        ("pin", {"message_id": ONE, "rev": 7, "pinned": True}),
    ]
    made = replica(*[entries[n] for n in order])
    assert made.history(PAIR)[ONE] == shown(GONE)
    assert made.pins(PAIR) == []


def test_unread_leaves_out_what_does_not_count():
    own = {"message_id": f"{PAIR}:5", "sender_id": "bob", "body": {"text": "mine"}}
    others = [("message", MESSAGE | {"message_id": f"{PAIR}:{seq}"}) for seq in (1, 6, 7, 8)]
    made = replica(*others, ("message", own), ("recall", GONE | {"message_id": f"{PAIR}:6"}))
    assert made.me(PAIR)["unread"] == 3
    made.take("hidden", {"message_id": f"{PAIR}:7"})
    made.take("read", {"conversation_id": PAIR, "read_seq": 1, "marked_unread": False, "rev": 1})
    assert made.me(PAIR)["unread"] == 1


def test_read_mark_moves_forward_and_the_flag_follows_its_revision():
    made = replica(
        ("read", {"conversation_id": PAIR, "read_seq": 7, "marked_unread": True, "rev": 3}),
        ("read", {"conversation_id": PAIR, "read_seq": 5, "marked_unread": False, "rev": 2}),
    )
    assert (made.me(PAIR)["read_seq"], made.me(PAIR)["marked_unread"]) == (7, True)


def test_settings_of_a_higher_revision_stay():
    made = replica(
        ("settings", {"conversation_id": PAIR, "pinned": True, "archived": False, "rev": 3}),
        ("settings", {"conversation_id": PAIR, "pinned": False, "archived": False, "draft": "x", "rev": 2}),
    )
    assert (made.me(PAIR)["pinned"], made.me(PAIR)["draft"]) == (True, None)
