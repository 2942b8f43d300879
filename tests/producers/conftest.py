from __future__ import annotations

import pytest

from tests.builders import open_town, opened_engines, opened_stores, settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique)


@pytest.fixture
async def town(settings):
    """Users and a send path on MongoDB and Redis; what is stored waits to be spread."""
    async with opened_stores(settings) as stores:
        yield await open_town(stores)


@pytest.fixture
async def wired(settings):
    """Users and a send path on all three engines."""
    async with opened_engines(settings) as engines:
        yield await open_town(engines)
