"""Every store test runs twice: with Motor and with PyMongo's own asyncio client."""

from __future__ import annotations

import pytest

from tests.builders import opened_database, settings_for


@pytest.fixture(params=["motor", "pymongo"])
def driver(request):
    return request.param


@pytest.fixture
async def database(engines, unique, driver):
    async with opened_database(settings_for(engines, unique, mongo={"driver": driver})) as database:
        yield database
