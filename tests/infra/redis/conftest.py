from __future__ import annotations

import pytest

from tests.builders import keys_of, opened_redis, settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique)


@pytest.fixture
def keys(settings):
    return keys_of(settings)


@pytest.fixture
async def client(settings):
    async with opened_redis(settings) as client:
        yield client
