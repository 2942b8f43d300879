"""The book of a scenario notices what is lost or doubled, and counts from when a message was due."""

from __future__ import annotations

import pytest

from benchmarks.book import FIRST_REF, Book, curve, latency, percentile

ANN, BOB = range(2)


@pytest.fixture
def book():
    """Two conversations: one of two people, one of three."""
    return Book("run.1", [2, 3])


def test_what_arrived_at_every_member_is_settled(book):
    ref = book.begin(1, ANN, 1.0)
    assert not book.settled()
    book.answered(ref, 1.5)
    for user in range(3):
        assert not book.settled()
        book.arrived(ref, user, 2.0 + user)
    assert book.settled()
    assert book.checks() == {"missing": 0, "duplicates": 0, "out of order": 0}


def test_latency_counts_from_when_a_message_was_due_to_the_last_of_the_others(book):
    ref = book.begin(1, ANN, 1.0)
    book.answered(ref, 1.5)
    book.arrived(ref, BOB, 2.0)
    book.arrived(ref, 2, 3.0)
    book.arrived(ref, ANN, 9.0)
    stored = book.stored(range(1))
    assert (book.answer_s(stored), book.push_s(stored)) == ([0.5], [2.0])


def test_entries_that_did_not_come_and_that_came_twice_are_counted(book):
    for arrivals in (1, 3):
        ref = book.begin(0, ANN, 1.0)
        book.answered(ref, 1.5)
        for _ in range(arrivals):
            book.arrived(ref, BOB, 2.0)
    assert book.checks() == {"missing": 1, "duplicates": 1, "out of order": 0}


def test_refused_message_is_an_error_and_due_nowhere(book):
    book.failed(book.begin(0, ANN, 1.0), "overloaded", says_when=True)
    assert (book.errors, book.refused_with_wait) == ({"overloaded": 1}, {"overloaded": 1})
    assert book.settled()
    assert not any(book.checks().values())
    assert book.stored(range(1)) == []


def test_who_is_disconnected_gets_no_answers_any_more(book):
    answered, lost, of_bob = (book.begin(0, user, 1.0) for user in (ANN, ANN, BOB))
    book.answered(answered, 1.5)
    book.disconnected(ANN)
    assert book.errors == {"no answer": 1}
    assert list(book.answered_at) == [1.5, -1.0, 0.0]
    assert book.done == [answered - FIRST_REF, lost - FIRST_REF]
    assert of_bob == FIRST_REF + 2


def test_percentiles_are_values_that_occurred():
    hundred = [n / 1000 for n in range(1, 102)]
    assert percentile(hundred, 0.5) == 0.051
    assert latency("x", reversed(hundred)) == {"x p50, ms": 51.0, "x p99, ms": pytest.approx(100.0)}
    assert latency("x", []) == {}
    assert curve(hundred)[0] == (0, 1.0)
    assert curve(hundred)[-1] == (1, 101.0)
    assert curve([]) == []
