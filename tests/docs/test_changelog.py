"""The changelog has each kind of change once in a version, and the version of the package."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.tables import ROOT

KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
TEXT = (ROOT / "CHANGELOG.md").read_text()
VERSIONS = re.findall(
    r"^## \[([^\]]+)\]( - \d{4}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("version, date, text", VERSIONS, ids=[version for version, *_ in VERSIONS])
def test_each_kind_of_change_stands_once_in_a_version(version, date, text):
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert bool(date) == (version != "Unreleased")
    for section in text.split("\n### ")[1:]:
        heading, blank, *lines = section.rstrip().splitlines()
        assert blank == ""
        assert lines, f"{heading} is empty"
        assert all(line.startswith(("* ", "  ")) for line in lines), f"{heading} has a line that is no item"


def test_newest_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [version for version, *_ in VERSIONS][:2] == ["Unreleased", project["version"]]
