"""A short day: `python -m tests.system.day` lives a longer one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import Engines
from tests.system.day import SHOWN, lived

pytestmark = pytest.mark.system


@pytest.mark.timeout(600)
async def test_everything_that_people_do_is_the_same_on_all_devices(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    day, found = await lived(engines, unique, tmp_path, users=6, devices=3, events=240, seed=7)
    assert found[:SHOWN] == []
    spoken = [one for talk in day.life.talks for one in talk.messages.values()]
    assert any(one.recalled for one in spoken)
    assert any(len(one.versions) > 1 for one in spoken)
    assert any(one.given for one in spoken)
