"""What a run says of itself, made of a run that never was."""

from __future__ import annotations

import json

import pytest

from tests.torture.facts import Violation
from tests.torture.fault_plan import Fault
from tests.torture.injector import Broken
from tests.torture.ledger import Latency, Ledger
from tests.torture.options import Options
from tests.torture.page import page_of
from tests.torture.plan import make_plan
from tests.torture.report import longest_gap, near, quantiles, report_of, text_of
from tests.torture.run import Run
from tests.torture.story import made_up


@pytest.fixture
def run() -> Run:
    """Redis was away from second 3 to second 8, which is when a message was lost."""
    options = Options(("redis",), seed=5, seconds=30)
    ledger = Ledger()
    ledger.answers = [Latency(1.0, 0.010), Latency(2.0, 0.020), Latency(9.0, 5.0)]
    ledger.receipts = [Latency(1.1, 0.1)]
    facts = made_up()
    lost = Violation("delivered", "<g:1> is 0 times in the timeline of bob", "bob", None, 3.5)
    faults = [
        Broken(Fault(3.0, 4.0, "redis", "redis"), 3.0, 8.0),
        Broken(Fault(20.0, 0, "flush", "redis"), 20.0),
    ]
    return Run(options, make_plan(options), ledger, facts, faults, [lost], ["evidence of g:1"])


def test_report_counts_and_is_json(run):
    report = json.loads(json.dumps(report_of(run)))
    assert not report["ok"]
    assert (report["seed"], report["acknowledged"], report["stored"]) == (5, 6, 6)
    assert report["entries"] == 14
    assert report["fault_count"] == {"redis": 1, "flush": 1}
    assert report["violation_count"] == {"delivered": 1}


def test_a_violation_names_the_faults_near_it(run):
    assert report_of(run)["violations"][0]["near"] == ["redis redis"]
    assert near(run, 14.0) == []
    assert near(run, None) == []


def test_text_tells_what_broke_and_what_is_wrong(run):
    text = text_of(report_of(run))
    assert "redis redis, mended at 8.0 s" in text
    assert "NOT SO: delivered 1" in text
    assert "evidence of g:1" in text
    run.violations = []
    assert text_of(report_of(run)).endswith("Nothing lost, nothing twice.")


def test_page_shows_the_faults_and_takes_nothing_from_elsewhere(run):
    page = page_of(run, report_of(run))
    assert page.count("<svg") == 2
    assert page.count("<title>redis redis</title>") == 2
    assert "&lt;g:1&gt; is 0 times" in page
    assert "<script" not in page
    assert "http" not in page


def test_longest_time_without_an_answer_counts_both_ends():
    answers = [Latency(at, 0.1) for at in (1.0, 2.0, 7.0)]
    assert longest_gap(answers, 8.0) == 5.0
    assert longest_gap(answers, 30.0) == 23.0
    assert longest_gap([], 30.0) == 30.0


def test_quantiles_of_nothing_are_nothing():
    assert quantiles([]) == {}
    assert quantiles([Latency(0.0, s / 100) for s in range(101)]) == {"p50": 0.5, "p99": 0.99, "max": 1.0}
