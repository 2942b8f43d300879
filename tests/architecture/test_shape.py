"""The code is as drawn: small files, complete tables, catalogues without doubles."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import Histogram

from api.errors import RETRY_AFTER_S, STATUS, error_body, status_of
from domain.errors import RingpostError, Unavailable, every_error
from infra.kafka.topics import DLQ, TOPICS
from infra.settings import PARTS, Settings
from infra.telemetry.names import CATALOGUE

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "infra", "producers", "consumers", "api", "ringpost")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
BESIDE = [path for room in ("tests", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]
ENGINE_NAMES = {"infra/mongo/client.py", "infra/local/mongo.py", "infra/mongo/administration.py"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def from_prometheus(path: Path) -> set[str]:
    """What a file takes from prometheus_client; the module itself counts as one more name."""
    taken = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = {one.name for one in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client"):
            taken |= names
        taken |= {one for one in names if one.startswith("prometheus_client")}
    return taken


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_says_what_it_is_and_fits_its_story(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "the first line says what the file is"


def test_tests_and_benchmarks_fit_their_stories_too():
    assert not [name(path) for path in BESIDE if len(path.read_text().splitlines()) > 400]


def test_functions_are_short():
    lengths = [node.end_lineno - node.lineno + 1 for path in FILES for node in functions(path)]
    assert statistics.median(lengths) <= 10
    assert sorted(lengths)[int(len(lengths) * 0.95)] <= 30


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils", "helpers", "common", "service", "manager", "misc", "base"}
    assert not [name(path) for path in FILES if path.stem in drawers]


def test_only_one_file_names_the_mongo_driver():
    naming = {
        name(path)
        for path in FILES
        if re.search(r"^\s*(from|import) (motor|pymongo|bson)", path.read_text(), re.M)
    }
    assert naming <= ENGINE_NAMES


def test_lua_scripts_name_their_keys_and_reply():
    for path in (ROOT / "infra/redis/lua").glob("*.lua"):
        if path.stem in {"generation", "recent"}:  # no scripts of their own: they stand before each
            continue
        text = path.read_text()
        assert "-- KEYS[1]" in text, path.name
        assert "-- Reply:" in text or "-- Replies" in text, path.name


@pytest.mark.parametrize("error", every_error())
def test_every_error_has_a_status(error):
    assert error in STATUS
    assert status_of(error("A sentence.")) == STATUS[error]


def test_no_status_is_given_to_what_is_no_error():
    assert set(STATUS) == set(every_error())


def test_errors_that_pass_are_told_from_those_that_do_not():
    assert error_body(Unavailable("x")).retriable
    assert not error_body(RingpostError("x")).retriable
    assert RETRY_AFTER_S > 0
    assert all(STATUS[error] in {429, 503} for error in every_error() if error.retriable)


def test_every_metric_is_named_described_and_unique():
    described = [metric.describe()[0] for metric in CATALOGUE.values()]
    names = [one.name for one in described]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"ringpost_[a-z_]+", one) for one in names)
    assert all(one.documentation.endswith(".") for one in described)


def test_durations_are_in_seconds_and_say_so():
    durations = [metric for metric in CATALOGUE.values() if isinstance(metric, Histogram)]
    assert all(metric.describe()[0].name.endswith("_seconds") for metric in durations)


def test_metrics_are_made_in_the_catalogue_only():
    assert {name(p): taken for p in FILES if (taken := from_prometheus(p))} == {
        "infra/telemetry/names.py": {"Counter", "Gauge", "Histogram"},
        "infra/telemetry/status.py": {"CONTENT_TYPE_LATEST", "generate_latest"},
    }


def test_topics_are_unique_and_described():
    names = [topic.name for topic in TOPICS]
    assert len(names) == len(set(names))
    assert all(topic.key and topic.record for topic in TOPICS)
    assert all(not topic.groups for topic in TOPICS if topic.name.endswith(DLQ))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_every_setting_has_a_sentence_and_is_frozen(part):
    assert part.model_config["frozen"]
    assert part.model_config["env_prefix"].startswith("RINGPOST_")
    for field in part.model_fields.values():
        assert field.description
        assert field.description.endswith((".", ")", "`"))


def test_no_two_settings_share_a_variable():
    names = [f"{p.model_config['env_prefix']}{f}".upper() for p in PARTS.values() for f in p.model_fields]
    assert len(names) == len(set(names))


def test_settings_have_one_attribute_for_each_part():
    assert Settings.__annotations__ == {name: part.__name__ for name, part in PARTS.items()}


def test_workers_do_not_load_what_only_the_api_needs():
    """FastAPI takes a fifth of the time in which a worker starts."""
    loaded = "import sys, ringpost.processes; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "consumers.inbox" in done.stdout.split()
    assert not {"fastapi", "api.app"} & set(done.stdout.split())
