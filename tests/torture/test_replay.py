"""What counts as a change by the replay of the log."""

from __future__ import annotations

from tests.torture.replay import differences
from tests.torture.story import PAIR, made_up


def test_nothing_has_changed_when_nothing_has():
    assert differences(made_up(), made_up()) == []


def test_another_timeline_is_a_difference():
    after = made_up()
    after.timelines["bob"].append((6, (PAIR, 1)))
    assert [one.user for one in differences(made_up(), after)] == ["bob"]


def test_another_ring_is_a_difference_down_to_its_bytes():
    before, after = made_up(), made_up()
    before.raw_rings["ann"], after.raw_rings["ann"] = [b"1", b"2"], [b"1", b"3"]
    assert [one.user for one in differences(before, after)] == ["ann"]
    del after.raw_rings["ann"]
    assert [one.user for one in differences(before, after)] == ["ann"]


def test_another_message_is_a_difference():
    after = made_up()
    del after.messages[PAIR, 1]
    assert differences(made_up(), after)
