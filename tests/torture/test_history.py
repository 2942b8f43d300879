"""The checker finds every kind of violation, and nothing in a history in which all is well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.torture.facts import (
    Changing,
    Connection,
    Facts,
    Got,
    Pulled,
    Row,
    Sending,
    StoredMessage,
)
from tests.torture.history import violations
from tests.torture.story import CAPACITY, GROUP, PAIR, made_up, message


def rules(facts: Facts) -> set[str]:
    return {violation.rule for violation in violations(facts)}


def said(facts: Facts) -> str:
    return "\n".join(violation.said for violation in violations(facts))


def lost_from_the_store(facts):
    del facts.messages[PAIR, 1]


def stored_twice(facts):
    facts.messages[PAIR, 2] = facts.messages[PAIR, 1]._replace(message_id=f"{PAIR}:2")


def stored_with_other_content(facts):
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(text="something else")


def stored_under_another_sender(facts):
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(sender="bob")


def answered_with_two_ids(facts):
    facts.sendings[2].answers.append((9.0, f"{PAIR}:2"))


def answered_with_the_wrong_id(facts):
    facts.sendings[2].answers[:] = [(3.5, f"{PAIR}:2")]


def sent_by_nobody(facts):
    facts.messages[PAIR, 9] = StoredMessage("ann", "m99", f"{PAIR}:9", "?", 1)


def lost_from_a_timeline(facts):
    facts.timelines["bob"].pop()


def twice_in_a_timeline(facts):
    facts.timelines["bob"].append((6, (PAIR, 1)))


def an_entry_of_no_message(facts):
    facts.timelines["bob"].append((6, (PAIR, 7)))


def an_entry_of_somebody_else(facts):
    facts.timelines["cem"].append((3, (PAIR, 1)))


def a_hole_in_a_timeline(facts):
    facts.timelines["bob"][2:] = [(seq + 1, place) for seq, place in facts.timelines["bob"][2:]]


def received_before_joining(facts):
    facts.windows[GROUP]["cem"] = [(2, 6)]
    facts.timelines["cem"] = [(1, (GROUP, 2)), (2, (GROUP, 4)), (3, (GROUP, 5))]


def received_after_leaving(facts):
    facts.windows[GROUP]["cem"] = [(3, 8)]
    facts.timelines["cem"].append((3, (GROUP, 7)))


def not_received_by_a_member(facts):
    facts.windows[GROUP]["cem"] = [(5, 6)]
    facts.timelines["cem"] = [(1, (GROUP, 5))]


def a_connection_with_a_hole(facts):
    del facts.connections[1].entries[0]


def a_connection_with_a_duplicate(facts):
    facts.connections[1].entries.insert(1, facts.connections[1].entries[0])


def a_connection_out_of_order(facts):
    facts.connections[1].entries.reverse()


def a_connection_with_other_content(facts):
    facts.connections[0].entries[1] = Got(2, 12345)


def a_connection_beyond_the_inbox(facts):
    facts.connections.append(Connection("ann", "phone", "api-1", 1.0, 5, [Got(6, 1), Got(7, 1)]))


def a_device_left_behind(facts):
    facts.connections[1].entries.pop()
    facts.devices["ann", "phone"] -= 1


def a_device_that_skipped(facts):
    facts.connections[1].cursor += 1
    del facts.connections[1].entries[0]


def a_pull_without_its_end(facts):
    facts.pulls[0].entries.pop()


def a_pull_with_a_hole(facts):
    del facts.pulls[0].entries[1]


def a_pull_with_other_content(facts):
    facts.pulls.append(Pulled("ann", 50, [Got(1, 1)]))


def a_ring_behind_its_timeline(facts):
    facts.rings["ann"].pop()
    facts.ring_ends["ann"] -= 1


def a_ring_with_a_hole(facts):
    del facts.rings["ann"][1]


def a_ring_with_other_content(facts):
    facts.rings["ann"][0] = facts.rings["ann"][0]._replace(message=5)


def an_empty_ring_that_stands_behind(facts):
    facts.rings["cem"] = []
    facts.ring_ends["cem"] = 0


def a_ring_too_long(facts):
    facts.rings["ann"] = [Got(seq, message(place)) for seq, place in facts.timelines["ann"]]
    assert len(facts.rings["ann"]) > CAPACITY


def a_send_without_answer(facts):
    facts.sendings.append(Sending("m9", PAIR, "ann", "text", 5.0, unanswered=True))


def a_row_in_the_outbox(facts):
    facts.outbox.append(Row("row", ((PAIR, 1), (GROUP, 1))))


def a_group_behind(facts):
    facts.lag["push"] = 3


def something_unsettled(facts):
    facts.unsettled.append("api-1 was not ready")


def a_dead_letter(facts):
    facts.dead_letters.append("deliveries 1@2")


def a_complaint(facts):
    facts.complaints.append((3.0, "phone of ann was told cursor_ahead"))


def a_member_refused(facts):
    facts.sendings.append(Sending("m9", GROUP, "ann", "text", 5.0, refused="forbidden"))


def a_conflict(facts):
    facts.sendings.append(Sending("m9", GROUP, "cem", "text", 5.0, refused="conflict"))


SPOILED: dict[Callable[[Facts], None], str] = {
    lost_from_the_store: "acknowledged",
    stored_twice: "acknowledged",
    stored_with_other_content: "acknowledged",
    stored_under_another_sender: "acknowledged",
    answered_with_two_ids: "acknowledged",
    answered_with_the_wrong_id: "acknowledged",
    sent_by_nobody: "unknown",
    lost_from_a_timeline: "delivered",
    twice_in_a_timeline: "delivered",
    an_entry_of_no_message: "delivered",
    an_entry_of_somebody_else: "delivered",
    a_hole_in_a_timeline: "numbered",
    received_before_joining: "member",
    received_after_leaving: "member",
    not_received_by_a_member: "member",
    a_connection_with_a_hole: "received",
    a_connection_with_a_duplicate: "received",
    a_connection_out_of_order: "received",
    a_connection_with_other_content: "received",
    a_connection_beyond_the_inbox: "received",
    a_device_left_behind: "received",
    a_device_that_skipped: "received",
    a_pull_without_its_end: "pulled",
    a_pull_with_a_hole: "pulled",
    a_pull_with_other_content: "pulled",
    a_ring_behind_its_timeline: "ring",
    a_ring_with_a_hole: "ring",
    a_ring_with_other_content: "ring",
    an_empty_ring_that_stands_behind: "ring",
    a_ring_too_long: "ring",
    a_send_without_answer: "settled",
    a_row_in_the_outbox: "settled",
    a_group_behind: "settled",
    something_unsettled: "settled",
    a_dead_letter: "dead letter",
    a_complaint: "refused",
    a_member_refused: "refused",
    a_conflict: "refused",
}


def test_nothing_is_found_where_all_is_well():
    assert violations(made_up()) == []


@pytest.mark.parametrize("spoil, rule", SPOILED.items(), ids=[spoil.__name__ for spoil in SPOILED])
def test_what_is_wrong_is_found(spoil, rule):
    facts = made_up()
    spoil(facts)
    assert rule in rules(facts)


def test_two_devices_that_show_another_order_are_found():
    facts = made_up()
    one, other = facts.connections[0], facts.connections[4]
    assert (one.user, other.user) == ("ann", "bob")
    other.entries[0] = Got(1, message((GROUP, 2)))
    assert "same" in rules(facts)


def test_a_violation_says_who_and_what():
    facts = made_up()
    lost_from_a_timeline(facts)
    assert f"{GROUP}:7 is 0 times in the timeline of bob" in said(facts)


def test_an_unanswered_send_may_be_absent_everywhere():
    facts = made_up()
    facts.sendings.append(Sending("m9", PAIR, "ann", "text", 5.0))
    assert violations(facts) == []


def test_an_unanswered_send_that_is_stored_must_be_everywhere():
    facts = made_up()
    facts.sendings.append(Sending("m9", PAIR, "ann", "text", 5.0))
    facts.messages[PAIR, 2] = StoredMessage("ann", "m9", f"{PAIR}:2", "text", 77)
    assert f"{PAIR}:2 is 0 times in the timeline of bob" in said(facts)


def test_a_message_sent_while_the_member_came_may_be_theirs_or_not():
    for window in [(2, 6)], [(3, 6)]:
        facts = made_up()
        facts.sendings[1].answers[:] = [(10.5, f"{GROUP}:2")]
        facts.windows[GROUP]["cem"] = window
        assert "member" not in rules(facts)


def test_a_change_without_answer_may_take_effect_late():
    facts = made_up()
    facts.changings.append(Changing(GROUP, "cem", True, 19.0, 40.0, maybe=True))
    received_after_leaving(facts)
    assert "member" not in rules(facts)


def test_a_change_without_answer_is_over_one_day():
    facts = made_up()
    facts.changings.append(Changing(GROUP, "cem", True, 9.0, 12.0, maybe=True))
    received_after_leaving(facts)
    assert "member" in rules(facts)


def test_a_row_whose_messages_are_not_all_stored_may_stay():
    facts = made_up()
    facts.outbox.append(Row("row", ((PAIR, 1), (PAIR, 99))))
    assert violations(facts) == []


def test_an_outsider_may_be_refused():
    facts = made_up()
    facts.sendings.append(Sending("m9", GROUP, "cem", "text", 5.0, refused="forbidden"))
    facts.sendings.append(Sending("m10", GROUP, "cem", "text", 21.5, refused="forbidden"))
    assert violations(facts) == []
    facts.sendings.append(Sending("m11", GROUP, "cem", "text", 12.0, refused="forbidden", refused_at=13.0))
    assert "refused" in rules(facts)


def test_a_device_may_ask_again_for_what_it_had():
    facts = made_up()
    inbox = facts.timelines["ann"]
    entries = [Got(seq, message(place)) for seq, place in inbox[1:]]
    facts.connections.append(Connection("ann", "phone", "api-1", 30.0, 1, entries))
    assert violations(facts) == []
