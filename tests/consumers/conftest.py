from __future__ import annotations

import pytest

from tests.builders import opened_engines, opened_stores, settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique, worker={"commit_s": 0.05, "batch": 50}, ring={"capacity": 5})


@pytest.fixture
async def town(settings):
    """All three engines, with fresh topics."""
    async with opened_engines(settings) as opened:
        yield opened


@pytest.fixture
async def stores(settings):
    """MongoDB and Redis."""
    async with opened_stores(settings) as opened:
        yield opened
