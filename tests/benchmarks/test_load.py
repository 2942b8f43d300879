"""A short run against a whole Ringpost. No figures are judged, only that all of it adds up."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks.load import main

COUNTS = {"missing": 0, "duplicates": 0, "out_of_order": 0, "errors": {}}


@pytest.fixture
def bench(ringpost, monkeypatch, capsys):
    """Runs the generator with these options; returns its exit code and what it printed."""

    def run(*options):
        pids = ",".join(f"{name}={pid}" for name, pid in ringpost.pids.items())
        common = ["--url", ringpost.url, "--admin-key", ringpost.admin_key, "--pids", pids]
        common += ["--warm-up", "0.2", "--users", "8"]
        monkeypatch.setattr(sys, "argv", ["bench", *common, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out

    return run


def test_every_message_arrives_once_however_it_is_sent(bench):
    for options in (["--rate", "50"], ["--rate", "50", "--via", "ws"], ["--rate", "20", "--group-size", "4"]):
        code, printed = bench(*options, "--seconds", "1", "--json")
        report = json.loads(printed)
        assert code == 0
        assert report | COUNTS == report
        assert report["sent"] == report["stored"] == int(options[1])
        assert report["pushed"] == report["sent"] * report["group_size"]
        assert report["send_to_push_ms"]["p99"] >= report["send_to_push_ms"]["p50"] > 0
        if sys.platform == "linux":
            assert set(report["cpu_us_per_message"]) == {"api", "workers", "this generator"}


def test_closed_loop_sends_as_much_as_is_taken(bench):
    code, printed = bench("--rate", "0", "--in-flight", "8", "--seconds", "0.5", "--json")
    report = json.loads(printed)
    assert code == 0
    assert report | COUNTS == report
    assert report["stored"] >= 8


def test_the_same_load_again_beside_deaf_devices(bench):
    code, printed = bench("--rate", "20", "--seconds", "0.5", "--deaf", "2", "--json")
    report = json.loads(printed)
    assert code == 0
    assert report | COUNTS == report
    assert report["stored"] == 10
    beside = report["beside_deaf"]
    assert (beside["devices"], beside["closed_slow"]) == (2, 0)
    assert beside["send_to_push_ms"]["p99"] >= beside["send_to_push_ms"]["p50"] > 0


def test_report_for_people_shows_all_of_it(bench):
    code, printed = bench("--rate", "20", "--seconds", "0.5", "--deaf", "1")
    assert code == 0
    for word in (
        "direct messages",
        "send → push",
        "p99",
        "workers",
        "1 deaf devices, of which 0 closed as slow",
        "0 missing, 0 duplicates, 0 out of order",
    ):
        assert word in printed


@pytest.mark.parametrize(
    "options", [["--group-size", "9"], ["--group-size", "1"], ["--url", "ftp://x"], ["--deaf", "9"]]
)
def test_impossible_options_are_refused(monkeypatch, options):
    monkeypatch.setattr(sys, "argv", ["bench", "--admin-key", "k", "--users", "8", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_server_that_does_not_answer_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--admin-key", "k", "--url", "http://127.0.0.1:1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "http://127.0.0.1:1" in capsys.readouterr().err
