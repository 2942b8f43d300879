"""The deployment files name only what exists; what they do when run is in `compose_up.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from infra.settings import PARTS
from ringpost.processes import WORKERS

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "infra" / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
OURS = {"init", "api", "gateway", *WORKERS}
ENGINES = {"mongo", "kafka", "redis"}
SETTINGS = {
    part.model_config.get("env_prefix", "") + name.upper()
    for part in PARTS.values()
    for name in part.model_fields
}


def test_every_part_and_every_engine_is_a_service():
    assert set(SERVICES) == OURS | ENGINES


@pytest.mark.parametrize("file", [COMPOSE, DOCKERFILE, (ROOT / "docs" / "production.md").read_text()])
def test_every_setting_that_is_named_exists(file):
    assert set(re.findall(r"RINGPOST_[A-Z0-9_]+", file)) - {"RINGPOST_CONFIG"} <= SETTINGS


@pytest.mark.parametrize("variable", ["MONGO_IMAGE", "KAFKA_IMAGE", "REDIS_IMAGE", "PYTHON_IMAGE"])
def test_every_image_is_a_variable_with_an_official_default(variable):
    assert re.search(r"\$\{" + variable + r":-[a-z/]+:[0-9][\w.-]*\}", COMPOSE)


def test_the_image_is_built_from_the_same_base_as_by_compose():
    assert "ARG PYTHON_IMAGE=python:3.11-slim" in DOCKERFILE
    assert SERVICES["init"]["build"]["args"]["PYTHON_IMAGE"] == "${PYTHON_IMAGE:-python:3.11-slim}"


@pytest.mark.parametrize("name", sorted((OURS | ENGINES) - {"init"}))
def test_what_runs_on_starts_again_and_says_how_it_is(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_the_replica_set_is_initiated_once():
    assert SERVICES["init"]["restart"] == "no"


@pytest.mark.parametrize("name", sorted(OURS - {"init"}))
def test_a_part_starts_behind_the_replica_set_and_the_engines(name):
    healthy = {engine: {"condition": "service_healthy"} for engine in ENGINES}
    assert SERVICES[name]["depends_on"] == healthy | {"init": {"condition": "service_completed_successfully"}}


def test_only_what_is_needed_for_the_image_reaches_its_builder():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = {"domain", "infra", "producers", "consumers", "api", "ringpost"}
    assert kept == rooms | {"pyproject.toml", "requirements-runtime.lock", "README.md", "LICENSE"}
    assert all((ROOT / name).exists() for name in kept)
