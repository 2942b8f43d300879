"""The table has a value beside its target, two Ringposts side by side, and says what did not add up."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.outcome import Outcome
from benchmarks.plot import svg
from benchmarks.report import Part, for_programs, number, processes_named, remarks, rows, show, targets
from benchmarks.scenarios import SCENARIOS

CURVE = [(0, 1.0), (0.5, 5.0), (0.99, 80.0), (1, 90.0)]
ABOUT = {
    "urls": ["http://a:1", "http://b:2"],
    "processes": ["CPU is that of nobody"],
    "runs": 1,
    "load_average": [0.5, 1.5],
    "usual_sizes": True,
}


def part(url, p50, **more):
    figures = {"send to answer p50, ms": p50, "CPU in all, µs per message": 5_000.0}
    outcome = Outcome(
        figures, {"CPU in all, µs per message": 4_000.0}, 0.08, {"send to answer": CURVE}, **more
    )
    return Part("200", "200 direct messages a second", url, [outcome])


def test_every_target_is_one_of_a_scenario():
    wanted = targets()
    assert set(wanted) <= set(SCENARIOS)
    assert wanted["200"]["send to answer p50, ms"].met(8)
    assert not wanted["200"]["send to answer p50, ms"].met(8.1)
    assert wanted["group"]["deliveries in a second of CPU"].met(10_000)
    assert not wanted["group"]["deliveries in a second of CPU"].met(9_999)


def test_target_that_is_none_is_refused(tmp_path):
    (tmp_path / "targets.toml").write_text('[200]\n"CPU" = "fast"\n')
    with pytest.raises(ValueError, match="'fast' does not"):
        targets(tmp_path / "targets.toml")


def test_rows_have_value_raw_value_and_target():
    (answer, cpu) = rows(part("http://a:1", 7.0).runs, targets()["200"])
    assert [str(cell) for cell in answer] == ["send to answer p50, ms", "7", "", "≤ 8"]
    assert [str(cell) for cell in cpu] == ["CPU in all, µs per message", "5,000", "4,000", "missed ≤ 4500"]


def test_rows_of_two_have_both_values_and_the_ratio():
    both = [*part("http://a:1", 7.0).runs, *part("http://b:2", 14.0).runs]
    first = next(iter(rows(both, {})))
    assert [str(cell) for cell in first] == ["send to answer p50, ms", "7", "", "14", "0.50", ""]


def test_numbers_have_the_digits_that_count():
    shown = [number(value) for value in (None, 0, 0.0123456, 1.2345, 12.345, 123.45, 12_345.6)]
    assert shown == ["", "0", "0.0123", "1.23", "12.3", "123", "12,346"]


def test_table_is_judged_only_at_the_usual_sizes(capsys):
    for usual in (True, False):
        show([part("http://a:1", 9.0)], ABOUT | {"usual_sizes": usual})
        printed = capsys.readouterr().out
        assert ("missed ≤ 8" in printed) == usual
        for words in (
            "200 direct messages a second (loop 0.080 s)",
            "send to answer p50, ms",
            "CPU is that of nobody",
        ):
            assert words in printed


def test_what_does_not_add_up_and_what_failed_is_said():
    bad = part("http://a:1", 7.0, checks={"missing": 2, "duplicates": 0}, errors={"overloaded": 3})
    assert list(remarks([bad])) == [
        "Entries do not add up: 2 missing, 0 duplicates",
        "Not answered with success: 3 × overloaded",
    ]
    assert list(remarks([part("http://a:1", 7.0)])) == []


def test_report_for_programs_has_everything():
    found = json.loads(json.dumps(for_programs([part("http://a:1", 7.0)], ABOUT)))
    (scenario,) = found["scenarios"]
    assert found["urls"] == ABOUT["urls"]
    assert scenario["scenario"] == "200"
    assert scenario["median"]["figures"]["send to answer p50, ms"] == 7.0
    assert scenario["runs"][0]["raw"] == {"CPU in all, µs per message": 4_000.0}
    assert scenario["runs"][0]["curves"]["send to answer"][1] == [0.5, 5.0]
    assert scenario["runs"][0]["loop_s"] == 0.08
    assert scenario["targets"]["send to answer p50, ms"] == "≤ 8"


def test_picture_has_a_panel_for_each_distribution_and_each_flood():
    parts = [
        part("http://a:1", 7.0, timeline=[(0.0, 5.0), (1.5, 700.0)]),
        part("http://b:2", 14.0, timeline=[(0.5, 9.0)]),
    ]
    root = ET.fromstring(svg(parts))
    drawn = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert (drawn.count("g"), drawn.count("polyline"), drawn.count("circle")) == (2, 2, 3)
    texts = [element.text for element in root.iter() if element.text]
    assert "send to answer, http://b:2" in texts
    assert "200: send to push by the time of sending" in texts


def test_picture_of_nothing_is_one_too():
    ET.fromstring(svg([Part("idle", "Nothing happens", "http://a:1", [Outcome({"CPU": 1.0})])]))


def test_which_processes_were_counted_is_said():
    said = processes_named("http://h:1", {12: "ringpost api", 13: "mongod", 14: "mongod"})
    assert said == "CPU is that of the Ringpost at http://h:1: ringpost api (12), mongod (13), mongod (14)"
    nobody = processes_named("http://192.0.2.1:8080", {})
    assert "No process of the Ringpost at http://192.0.2.1:8080 is seen here" in nobody
    assert "--pids" in nobody
