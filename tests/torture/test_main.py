"""What someone types."""

from __future__ import annotations

import pytest

from tests.torture import __main__ as program
from tests.torture import clock


def refused(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(list(words))
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--mode", "earthquake"],
        ["--mode", "none,kill"],
        ["--seconds", "1"],
        ["--rate", "0"],
        ["--users", "2"],
    ],
)
def test_what_makes_no_sense_is_refused(words):
    refused(*words)


def test_without_the_library_the_clock_cannot_jump_and_the_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(clock, "LIBRARIES", ())
    refused("--mode", "kill,clock")
    assert "apt install libfaketime" in capsys.readouterr().err


def test_without_the_library_all_is_all_the_others(monkeypatch, capsys):
    monkeypatch.setattr(clock, "LIBRARIES", ())
    options = program.options_of(["--mode", "all", "--messages", "1200", "--rate", "40"])
    assert "clock" not in options.modes
    assert {"kill", "kafka", "cut"} < set(options.modes)
    assert options.seconds == 30
    assert "Left out: The mode clock" in capsys.readouterr().err


def test_a_seed_that_is_not_given_is_another_each_time():
    seeds = {program.options_of(["--mode", "kill"]).seed for _ in range(5)}
    assert len(seeds) == 5


def test_each_option_is_taken_for_itself(tmp_path):
    usual = program.options_of(["--mode", "kill"])
    assert (usual.replay, usual.report, usual.as_json, usual.faults) == (True, None, False, 0)
    words = [
        "--mode",
        "kill",
        "--every",
        "3",
        "--lasts",
        "2",
        "--no-replay",
        "--json",
        "--report",
        str(tmp_path),
    ]
    asked = program.options_of(words)
    assert (asked.every_s, asked.lasts_s, asked.replay, asked.as_json) == (3.0, 2.0, False, True)
    assert asked.report == tmp_path
