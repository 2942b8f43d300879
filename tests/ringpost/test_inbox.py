"""Pushes and pulls merged: each entry once, in order, whatever either source does."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ringpost.inbox import Inbox
from tests.builders import examples


def run(first: int, last: int) -> list[dict[str, int]]:
    return [{"seq": seq} for seq in range(first, last + 1)]


def seqs(taken) -> list[int]:
    return [entry["seq"] for entry in taken.entries]


def test_entries_in_order_come_out_as_they_come():
    inbox = Inbox(4)
    assert seqs(inbox.pushed(run(5, 6))) == [5, 6]
    assert (inbox.cursor, inbox.pull_from) == (6, None)


def test_what_was_given_out_is_not_given_out_again():
    inbox = Inbox(0)
    inbox.pushed(run(1, 3))
    assert inbox.pushed(run(2, 4)).entries == run(4, 4)
    assert inbox.pulled(run(1, 4), 4).entries == []
    assert inbox.cursor == 4


def test_entry_behind_a_hole_waits_and_calls_for_a_pull():
    inbox = Inbox(3)
    assert seqs(inbox.pushed(run(5, 6))) == []
    assert (inbox.cursor, inbox.pull_from) == (3, 3)
    assert seqs(inbox.pulled(run(4, 4), 6)) == [4, 5, 6]
    assert (inbox.cursor, inbox.pull_from) == (6, None)


def test_several_holes_close_in_any_order():
    inbox = Inbox(0)
    given = [seqs(inbox.pushed(run(n, n))) for n in (6, 2, 4, 3, 1, 5)]
    assert given == [[], [], [], [], [1, 2, 3, 4], [5, 6]]
    assert inbox.pull_from is None


def test_order_within_a_frame_does_not_matter():
    assert seqs(Inbox(0).pushed([*run(3, 3), *run(1, 2), *run(2, 2)])) == [1, 2, 3]


def test_head_told_once_may_be_on_its_way_and_told_again_calls_for_a_pull():
    inbox = Inbox(2)
    inbox.told(4)
    assert inbox.pull_from is None
    inbox.told(4)
    assert inbox.pull_from == 2


def test_head_told_again_is_patient_while_entries_come():
    inbox = Inbox(0)
    inbox.told(9)
    for seq in range(1, 9):
        inbox.pushed(run(seq, seq))
        inbox.told(9)
        assert inbox.pull_from is None
    inbox.told(9)
    assert inbox.pull_from == 8


def test_head_that_is_here_calls_for_nothing():
    inbox = Inbox(2)
    for _ in range(3):
        inbox.told(2)
        inbox.told(1)
    assert inbox.pull_from is None


def test_page_that_does_not_reach_its_head_calls_for_the_next():
    inbox = Inbox(0)
    inbox.pulled(run(1, 2), 5)
    assert inbox.pull_from == 2
    inbox.pulled(run(3, 5), 5)
    assert inbox.pull_from is None


def test_page_without_entries_leaves_the_pull_due():
    """What follows is on its way: the caller waits a moment and asks again."""
    inbox = Inbox(1)
    inbox.pulled([], 3)
    assert inbox.pull_from == 1


def test_full_inbox_drops_the_farthest_ahead_and_pulls_them_again():
    inbox = Inbox(0, ahead=3)
    taken = inbox.pushed(run(2, 6))
    assert (taken.entries, taken.dropped) == ([], 2)
    assert seqs(inbox.pulled(run(1, 1), 1)) == [1, 2, 3, 4]
    assert inbox.pull_from == 4
    assert seqs(inbox.pulled(run(5, 6), 6)) == [5, 6]
    assert inbox.pull_from is None


def test_bound_does_not_touch_what_follows_the_cursor():
    taken = Inbox(0, ahead=2).pushed(run(1, 50))
    assert (len(taken.entries), taken.dropped) == (50, 0)


class Merging(RuleBasedStateMachine):
    """A server with a list, a socket that loses, doubles and mixes up frames, a client that pulls."""

    def __init__(self) -> None:
        super().__init__()
        self.head = 0
        self.shown: list[int] = []
        self.under_way: list[list[dict[str, int]]] = []
        self.inbox = Inbox(0, ahead=4)

    def take(self, taken) -> None:
        self.shown += seqs(taken)

    @rule(count=st.integers(1, 6))
    def arrive(self, count):
        """New entries, on their way as one frame."""
        self.under_way.append(run(self.head + 1, self.head + count))
        self.head += count

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 99), again=st.booleans())
    def deliver(self, at, again):
        """Any of the frames that are under way, perhaps not for the last time."""
        at %= len(self.under_way)
        self.take(self.inbox.pushed(self.under_way[at]))
        if not again:
            del self.under_way[at]

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 99))
    def drop(self, at):
        del self.under_way[at % len(self.under_way)]

    @rule()
    def beat(self):
        self.inbox.told(self.head)

    @precondition(lambda self: self.inbox.pull_from is not None)
    @rule(limit=st.integers(1, 5))
    def pull(self, limit):
        first = self.inbox.pull_from + 1
        self.take(self.inbox.pulled(run(first, min(self.head, first + limit - 1)), self.head))

    @invariant()
    def shown_is_the_list_up_to_the_cursor(self):
        assert self.shown == list(range(1, self.inbox.cursor + 1))

    def waiting(self) -> int:
        """How many wait behind a hole: they come out as soon as one that is missing is given."""
        inbox, waiting = copy.deepcopy(self.inbox), 0
        while inbox.cursor < self.head:
            following = inbox.cursor + 1
            waiting += len(inbox.pushed(run(following, following)).entries) - 1
        return waiting

    @invariant()
    def few_wait_ahead(self):
        assert self.waiting() <= 4

    @invariant()
    def pull_is_called_for_exactly_when_something_is_known_to_be_missing(self):
        """What waits ahead is behind a hole; without a call to pull, what is missing was never heard of."""
        assert self.inbox.pull_from in (None, self.inbox.cursor)
        assert not self.waiting() or self.inbox.pull_from is not None
        assert self.inbox.pull_from is None or self.inbox.cursor < self.head

    def teardown(self):
        """All that is under way is lost: two heads and the pulls that they call for bring everything."""
        self.inbox.told(self.head)
        self.inbox.told(self.head)
        for _ in itertools.takewhile(lambda _: self.inbox.pull_from is not None, range(1000)):
            self.pull(5)
        assert self.shown == list(range(1, self.head + 1))


def test_inbox_is_the_list_of_its_model_whatever_the_socket_does():
    plans = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Merging, settings=plans)


@pytest.mark.parametrize("ahead", [0, 1, 1000])
def test_every_order_of_three_frames_gives_the_same_list(ahead):
    frames = (run(1, 1), run(2, 3), run(4, 4))
    for order in itertools.product(range(3), repeat=4):
        inbox = Inbox(0, ahead)
        shown = [seq for at in order for seq in seqs(inbox.pushed(frames[at]))]
        while (cursor := inbox.pull_from) is not None:
            shown += seqs(inbox.pulled(run(cursor + 1, min(4, cursor + 2)), 4))
        assert shown == list(range(1, inbox.cursor + 1))
        assert inbox.cursor == 4 or not set(order) >= {0, 1, 2}
