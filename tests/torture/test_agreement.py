"""The checker finds changes that were lost, devices that disagree, and recalled texts that are left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.torture.facts import Acting, Facts, Got
from tests.torture.history import violations
from tests.torture.story import GROUP, PAIR, with_changes


def lost_edit(facts):
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(edits=())


def lost_recall(facts):
    facts.messages[GROUP, 4] = facts.messages[GROUP, 4]._replace(recalled=False)


def lost_hiding(facts):
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(hidden_for=())


def lost_read_mark(facts):
    facts.views["bob"][PAIR].me["read_seq"] = 0


def lost_reaction(facts):
    facts.views["bob"][PAIR].messages[f"{PAIR}:1"]["reactions"] = {}


def another_text_on_a_device(facts):
    facts.replicas["bob", "phone"].messages[f"{PAIR}:1"].text = "text 2"


def recall_that_a_device_does_not_know(facts):
    facts.replicas["bob", "phone"].messages[f"{GROUP}:4"].recalled = False


def message_that_a_device_lacks(facts):
    del facts.replicas["bob", "phone"].messages[f"{GROUP}:4"]


def pin_that_a_device_does_not_know(facts):
    facts.views["bob"][PAIR].pins.append(f"{PAIR}:1")


def another_draft_on_a_device(facts):
    facts.views["bob"][PAIR].me["draft"] = "newer"


def another_count_on_a_device(facts):
    facts.views["bob"][PAIR].me["unread"] = 1


def recalled_text_in_a_ring(facts):
    facts.seen["the ring of bob"].add("m3")


def change_that_a_timeline_lacks(facts):
    facts.timelines["ann"].pop()


def change_of_another_user(facts):
    facts.timelines["ann"].append((len(facts.timelines["ann"]) + 1, ("u:bob", 1)))


def change_for_one_who_has_left(facts):
    facts.timelines["cem"].append((3, (GROUP, 8)))


def change_without_answer(facts):
    facts.acts.append(Acting("pin", "ann", PAIR, f"{PAIR}:1", {}, 20.0, unanswered=True))


SPOILED: dict[Callable[[Facts], None], str] = {
    lost_edit: "done",
    lost_recall: "done",
    lost_hiding: "done",
    lost_read_mark: "done",
    lost_reaction: "done",
    another_text_on_a_device: "agreed",
    recall_that_a_device_does_not_know: "agreed",
    message_that_a_device_lacks: "agreed",
    pin_that_a_device_does_not_know: "agreed",
    another_draft_on_a_device: "agreed",
    another_count_on_a_device: "agreed",
    recalled_text_in_a_ring: "recalled",
    change_that_a_timeline_lacks: "delivered",
    change_of_another_user: "delivered",
    change_for_one_who_has_left: "delivered",
    change_without_answer: "settled",
}


def test_nothing_is_found_where_all_is_well():
    assert violations(with_changes()) == []


@pytest.mark.parametrize("spoil, rule", SPOILED.items(), ids=[spoil.__name__ for spoil in SPOILED])
def test_what_is_wrong_is_found(spoil, rule):
    facts = with_changes()
    spoil(facts)
    assert rule in {violation.rule for violation in violations(facts)}


def test_edit_that_a_recall_overtook_need_not_be_in_effect():
    facts = with_changes()
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(edits=(), recalled=True)
    facts.views.clear()
    assert violations(facts) == []


def test_reaction_that_was_taken_back_may_be_there_or_not():
    facts = with_changes()
    facts.acts.append(Acting("unreact", "bob", PAIR, f"{PAIR}:1", {"key": ":ok:"}, 16.0, unanswered=True))
    facts.views["bob"][PAIR].messages[f"{PAIR}:1"]["reactions"] = {}
    facts.replicas["bob", "phone"].messages[f"{PAIR}:1"].reactions = {}
    assert {violation.rule for violation in violations(facts)} == {"settled"}


def test_who_comes_and_goes_need_not_know_what_changed_meanwhile():
    facts = with_changes()
    facts.windows[GROUP]["bob"] = [(1, 6), (7, 2**53)]
    recall_that_a_device_does_not_know(facts)
    assert "agreed" not in {violation.rule for violation in violations(facts)}


def test_changed_content_is_no_other_entry():
    was, now, other = Got(1, 5, 6), Got(1, 5), Got(1, 5, 7)
    assert was.fits(now)
    assert now.fits(was)
    assert not was.fits(other)
    assert not was.fits(Got(1, 4, 6))
