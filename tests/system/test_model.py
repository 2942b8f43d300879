"""The model itself: a few conversations whose end everybody knows."""

from __future__ import annotations

import pytest

from tests.system.model import Spoken, Talk

PAIR = "d:ann:bob"


@pytest.fixture
def talk() -> Talk:
    made = Talk(PAIR, ("ann", "bob"))
    for seq, sender in ((1, "ann"), (2, "bob"), (3, "ann")):
        name = f"{PAIR}:{seq}"
        made.messages[name] = Spoken(name, seq, sender, f"m{seq}", [f"text {seq}"], ["bob"])
    return made


def test_unread_and_mentions_are_messages_of_others_behind_the_mark(talk):
    assert (talk.me("bob")["unread"], talk.mentions("bob")) == (2, 2)
    assert (talk.me("ann")["unread"], talk.mentions("ann")) == (1, 0)
    talk.messages[f"{PAIR}:1"].recalled = True
    talk.parts["bob"].hidden.add(f"{PAIR}:3")
    assert (talk.me("bob")["unread"], talk.mentions("bob")) == (0, 0)


def test_what_is_hidden_or_cleared_is_seen_by_others(talk):
    talk.parts["bob"].settings["cleared_seq"] = 2
    assert list(talk.history("bob")) == [f"{PAIR}:3"]
    assert len(talk.history("ann")) == 3


def test_recalled_message_has_nothing_left(talk):
    spoken = talk.messages[f"{PAIR}:1"]
    spoken.react("bob", ":ok:", on=True)
    talk.pin(spoken, on=True)
    assert talk.pins("bob") == [spoken.message_id]
    spoken.recalled = True
    assert talk.pins("bob") == []
    shown = talk.history("bob")[spoken.message_id]
    assert (shown["text"], shown["reactions"], shown["pinned"]) == (None, {}, False)


def test_pin_that_stands_keeps_its_place_and_a_reaction_counts_once(talk):
    first, second, _ = talk.messages.values()
    for spoken in (first, second, first):
        talk.pin(spoken, on=True)
    assert talk.pins("ann") == [second.message_id, first.message_id]
    for on in (True, True, False):
        first.react("bob", ":ok:", on=on)
    assert first.given == {}
