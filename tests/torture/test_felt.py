"""What is felt is measured, and nothing is refused where nothing breaks."""

from __future__ import annotations

import re

import pytest

from tests.docs.running import ROOT
from tests.torture import felt

pytestmark = [pytest.mark.system, pytest.mark.own_engines]


async def test_where_nothing_breaks_all_arrives_and_nothing_is_refused(monkeypatch, capsys):
    for name in ("SETTLING_S", "BEFORE_S", "AFTER_S", "UNBROKEN_S"):
        monkeypatch.setattr(felt, name, 2.0)
    await felt.run(["none"], ROOT)
    told = capsys.readouterr().out
    assert "refused or unanswered at first: nothing" in told
    row = re.search(r"^  before +(.*)$", told, re.MULTILINE)
    assert len(re.findall(r"\d+ / \d+", row[1])) == 3, told
