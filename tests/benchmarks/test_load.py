"""A short run of each scenario against a whole Ringpost. No figure is judged, only that all adds up."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks.load import main
from benchmarks.scenarios import SCENARIOS, USUAL
from ringpost.running import Running, announced

pytestmark = pytest.mark.same_on_all_engines
SMALL = ["--warm-up", "0.2", "--users", "8", "--group-size", "10", "--devices", "20", "--connections", "20"]
COUNTS = {"missing": 0, "duplicates": 0, "out of order": 0}
LATENCIES = {f"send to {to} {point}, ms" for to in ("answer", "push") for point in ("p50", "p99")}
CPU = {"CPU in all", "CPU api", "CPU workers", "CPU this generator"} if sys.platform == "linux" else set()


@pytest.fixture
def bench(ringpost, monkeypatch, capsys):
    """Runs the generator with these options; returns its exit code and what it printed."""

    def run(*options):
        pids = ",".join(f"{name}={pid}" for name, pid in ringpost.pids.items())
        common = ["--url", ringpost.url, "--admin-key", ringpost.admin_key, "--pids", pids, *SMALL]
        monkeypatch.setattr(sys, "argv", ["bench", *common, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out

    return run


def one(printed):
    """The median of the only scenario of a report."""
    (scenario,) = json.loads(printed)["scenarios"]
    assert scenario["median"]["checks"] == COUNTS
    assert scenario["median"]["errors"] == {}
    return scenario["median"]["figures"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20", {*LATENCIES, "throughput, messages a second"} | {f"{x}, µs per message" for x in CPU}),
        ("saturation", {*LATENCIES, "throughput, messages a second"} | {f"{x}, µs per message" for x in CPU}),
        (
            "group",
            {"send to last push p50, ms", "send to answer p99, ms"} | {f"{x}, µs per message" for x in CPU},
        ),
        ("idle", {f"{x}, core" for x in CPU}),
        ("flood", {*LATENCIES, "until the backlog is gone, s", "flood refused, messages"}),
        (
            "storm",
            {"all caught up, s", "reconnect to caught up p50, ms"} | {f"{x}, µs per device" for x in CPU},
        ),
        ("deaf", {"send to last push p50, ms", "send to last push beside 2 deaf devices p99, ms"}),
    ],
)
def test_every_entry_of_each_scenario_arrives_once(bench, name, expected):
    code, printed = bench("--only", name, "--seconds", "1", "--deaf", "2", "--json", "-")
    assert code == 0
    assert expected <= set(one(printed))


def test_messages_at_a_rate_are_as_many_as_were_due(bench):
    _, printed = bench("--only", "20", "--seconds", "2", "--drain", "120", "--json", "-")
    assert one(printed)["throughput, messages a second"] <= 20


def test_two_runs_against_a_second_ringpost_are_a_table_a_file_and_a_picture(bench, ringpost, tmp_path):
    """The second one is named by its data folder."""
    (tmp_path / "keys.json").write_text(json.dumps({"admin": ringpost.admin_key, "token": "of nobody"}))
    options = ["--json", str(tmp_path / "figures.json"), "--plot", str(tmp_path / "picture.svg")]
    options += ["--against", str(tmp_path), "--only", "20", "--seconds", "0.5", "--runs", "2"]
    with announced(tmp_path, Running(ringpost.url, {})):
        code, printed = bench(*options)
    assert code == 0
    for word in ("20 direct messages a second", "send to push p99", "ratio", "CPU api, µs per message"):
        assert word in printed
    first, second = json.loads((tmp_path / "figures.json").read_text())["scenarios"]
    assert len(first["runs"]) == len(second["runs"]) == 2
    assert first["median"]["checks"] == second["median"]["checks"] == COUNTS
    assert (tmp_path / "picture.svg").read_text().startswith("<svg")


def test_usual_scenarios_are_the_table():
    assert USUAL == ("idle", "50", "200", "1000", "saturation", "group", "flood", "storm")
    assert set(SCENARIOS) - set(USUAL) == {"deaf"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--group-size", "1"], "--group-size"),
        (["--url", "ftp://x"], "ftp://x"),
        (["--url", "https://x"], "TLS"),
        (["--only", "deaf", "--deaf", "9"], "--deaf"),
        (["--only", "50,nonsense"], "'nonsense'"),
        (["--only", "-5"], "--only"),
        (["--runs", "0"], "--runs"),
        (["--seconds", "0"], "--seconds"),
        (["--against", "."], "No `ringpost up` runs with the data folder"),
    ],
)
def test_impossible_options_are_refused(monkeypatch, capsys, tmp_path, options, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "--admin-key", "k", "--users", "8", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert word in capsys.readouterr().err


def test_server_that_does_not_answer_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--admin-key", "k", "--url", "http://127.0.0.1:1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "http://127.0.0.1:1" in capsys.readouterr().err
