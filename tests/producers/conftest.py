from __future__ import annotations

import pytest

from tests.builders import open_town, opened_clients, opened_without_kafka, settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique)


@pytest.fixture
async def town(settings):
    """Users and a send path on MongoDB and Redis; what is stored waits to be spread."""
    async with opened_without_kafka(settings) as clients:
        yield await open_town(clients)


@pytest.fixture
async def wired(settings):
    """Users and a send path on all three engines."""
    async with opened_clients(settings) as clients:
        yield await open_town(clients)
