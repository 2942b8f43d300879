"""The book of a run notices what is lost, doubled or out of order."""

from __future__ import annotations

import time

import pytest

from benchmarks.book import Book, quantiles_ms

ANN, BOB, CEM = range(3)


@pytest.fixture
def book():
    """Two conversations: of Ann and Bob, and of all three."""
    made = Book("run", 3, [(ANN, BOB), (ANN, BOB, CEM)])
    made.measure()
    return made


def sent(book, conversation, sender, *, answered=True):
    number, name = book.begin(conversation, sender, time.perf_counter())
    if answered:
        book.answered(number)
    return name


def test_what_arrived_at_every_member_is_settled(book):
    name = sent(book, 1, ANN)
    for user in (ANN, BOB, CEM):
        assert not book.settled()
        book.arrived(user, 1, name, time.perf_counter())
    assert book.settled()
    assert (book.missing(), book.duplicates, book.out_of_order) == (0, 0, 0)
    assert (book.stored, book.pushed) == (1, 3)


def test_latency_to_the_push_is_that_of_the_others_not_of_the_sender(book):
    name = sent(book, 0, ANN)
    book.arrived(ANN, 1, name, time.perf_counter())
    assert len(book.push_s) == 0
    book.arrived(BOB, 1, name, time.perf_counter())
    assert len(book.push_s) == 1


def test_latency_counts_from_the_moment_at_which_a_message_was_due(book):
    number, _ = book.begin(0, ANN, time.perf_counter() - 5)
    book.answered(number)
    assert book.answer_s[0] >= 5


def test_entry_that_did_not_come_is_missing(book):
    name = sent(book, 1, ANN)
    book.arrived(BOB, 1, name, time.perf_counter())
    assert book.missing() == 2


def test_entry_that_came_twice_is_a_duplicate(book):
    name = sent(book, 0, ANN)
    for seq in (1, 2):
        book.arrived(BOB, seq, name, time.perf_counter())
    assert book.duplicates == 1


def test_hole_and_step_back_are_out_of_order(book):
    for seq in (1, 3, 2):
        book.arrived(BOB, seq, sent(book, 0, ANN), time.perf_counter())
    assert book.out_of_order == 2
    assert book.head(BOB) == 3


def test_failed_send_is_an_error_and_due_nowhere(book):
    sent(book, 0, ANN, answered=False)
    book.failed(0, "status 503")
    assert book.errors == {"status 503": 1}
    assert book.missing() == 0
    assert book.settled()


def test_entries_of_another_run_are_not_counted(book):
    book.arrived(BOB, 1, "other.0", time.perf_counter())
    assert (book.pushed, book.out_of_order) == (0, 0)


def test_warm_up_is_checked_and_not_measured():
    book = Book("run", 3, [(ANN, BOB)])
    name = sent(book, 0, ANN)
    book.arrived(BOB, 1, name, time.perf_counter())
    book.measure()
    assert (book.measured, book.stored, book.pushed, len(book.answer_s)) == (0, 0, 0, 0)
    assert book.missing() == 1


def test_measuring_again_begins_figures_anew_and_forgets_nothing_that_is_missing(book):
    missing, measured = sent(book, 0, ANN), sent(book, 0, ANN)
    book.arrived(BOB, 1, measured, time.perf_counter())
    book.measure()
    assert (book.measured, book.stored, book.pushed, len(book.push_s)) == (0, 0, 0, 0)
    book.arrived(BOB, 2, missing, time.perf_counter())
    assert (book.pushed, book.missing()) == (0, 2)


def test_quantiles_are_in_milliseconds():
    hundred = [n / 1000 for n in range(1, 102)]
    assert quantiles_ms(hundred) == {"p50": 51.0, "p90": 91.0, "p99": 100.0, "max": 101.0}
    assert quantiles_ms([]) == {}
