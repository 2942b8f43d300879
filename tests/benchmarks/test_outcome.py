"""CPU is scaled by the loop, and several runs become one by their medians."""

from __future__ import annotations

import os
import time

import pytest

from benchmarks.book import Book
from benchmarks.cpu import loop_s
from benchmarks.outcome import MEMORY, Meter, Outcome, median


def worked(processes):
    """A meter that has seen a tenth of a second of work."""
    meter = Meter(processes)
    meter.start()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    meter.stop()
    return meter


def test_loop_takes_time():
    assert 0 < loop_s() < 60


def test_cpu_is_shown_as_measured_and_scaled_to_a_loop_of_a_tenth_of_a_second():
    outcome = Outcome()
    meter = worked({os.getpid(): "ringpost worker inbox"})
    meter.each(outcome, 10, "µs per message")
    meter.per_cpu_second(outcome, "deliveries", 50)
    assert set(outcome.figures) == set(outcome.raw)
    assert {"CPU in all, µs per message", "CPU inbox, µs per message"} < set(outcome.figures)
    for name, figure in outcome.figures.items():
        scale = outcome.loop_s / 0.1 if name == "deliveries" else 0.1 / outcome.loop_s
        assert figure == pytest.approx(outcome.raw[name] * scale)
    assert outcome.raw["CPU inbox, µs per message"] > 5_000
    in_all = outcome.raw["CPU in all, µs per message"]
    assert outcome.raw["deliveries"] == pytest.approx(50 / (in_all * 10 / 1e6))


def test_own_cpu_is_no_part_of_the_sum_and_stands_alone_where_no_process_is_seen():
    outcome = Outcome()
    worked({}).each(outcome, 1, "core")
    assert list(outcome.figures) == ["CPU this generator, core"]


def test_nothing_is_divided_by_no_messages():
    outcome = Outcome()
    worked({os.getpid(): "api"}).each(outcome, 0, "µs per message")
    assert outcome.figures == {}


def test_several_runs_become_medians_and_what_failed_is_added_up():
    runs = [
        Outcome({"a": value, MEMORY: 30 - value}, {"a": value * 2}, 0.1, errors={"overloaded": 1})
        for value in (1.0, 9.0, 2.0)
    ]
    runs[1].checks = {"missing": 3}
    runs[2].figures["only here"] = 5.0
    of_all = median(runs)
    assert of_all.figures == {"a": 2.0, MEMORY: 29.0, "only here": 5.0}
    assert (of_all.raw, of_all.errors, of_all.checks) == ({"a": 4.0}, {"overloaded": 3}, {"missing": 3})
    assert not of_all.good


def test_outcome_is_good_when_every_entry_arrived_once():
    outcome, book = Outcome(), Book("run.1", [2])
    outcome.close(book)
    assert outcome.good
    book.answered(book.begin(0, 0, 1.0), 1.0)
    outcome.close(book)
    assert outcome.checks["missing"] == 2
    assert not outcome.good
