"""The sample settings file."""

from __future__ import annotations

import os
import re

import pytest

from infra.settings import PARTS, load_settings
from tests.docs.tables import SAMPLE

SETTING = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
        monkeypatch.delenv(name)


def loaded(monkeypatch, path):
    monkeypatch.setenv("RINGPOST_CONFIG", str(path))
    return load_settings()


def test_sample_as_it_stands_changes_nothing(monkeypatch):
    settings = loaded(monkeypatch, SAMPLE)
    assert {name: getattr(settings, name) for name in PARTS} == {name: part() for name, part in PARTS.items()}


def test_every_line_of_the_sample_can_be_used_and_is_the_default(monkeypatch, tmp_path):
    text, count = SETTING.subn("", SAMPLE.read_text())
    path = tmp_path / "ringpost.toml"
    path.write_text(text)
    settings = loaded(monkeypatch, path)
    given = {name: getattr(settings, name) for name in PARTS}
    assert given == {name: part() for name, part in PARTS.items()}
    assert count == sum(len(part.model_fields_set) for part in given.values())


def test_sample_has_every_setting():
    for name, part in PARTS.items():
        table = SAMPLE.read_text().partition(f"\n[{name}]\n")[2].partition("\n[")[0]
        assert re.findall(r"^#(\w+) (?:=|has no default)", table, re.MULTILINE) == list(part.model_fields)
