from __future__ import annotations

import pytest

from infra.kafka.clients import Log
from infra.kafka.publisher import open_publisher
from infra.kafka.topics import ready_topics
from tests.builders import settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique)


@pytest.fixture
async def log(settings):
    """With fresh topics."""
    log = Log(settings.kafka)
    await ready_topics(log)
    return log


@pytest.fixture
async def publisher(log):
    async with open_publisher(log) as publisher:
        yield publisher
