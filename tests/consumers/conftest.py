from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumers.loop import Loop
from infra.kafka.publisher import Record
from infra.kafka.topics import DELIVERIES
from tests.builders import opened_clients, opened_stores, settings_for


@pytest.fixture
def settings(engines, unique):
    return settings_for(engines, unique, worker={"commit_s": 0.05, "batch": 50}, ring={"capacity": 5})


@pytest.fixture
async def town(settings):
    """All three engines, with fresh topics."""
    async with opened_clients(settings) as opened:
        yield opened


@pytest.fixture
async def stores(settings):
    """MongoDB and Redis."""
    async with opened_stores(settings) as opened:
        yield opened


@pytest.fixture
def loop_of(town, settings):
    return lambda handler: Loop(town.log, handler, town.publisher, settings.worker)


@pytest.fixture
def publish(town):
    async def publish(values: Sequence[object], partition: int = 0) -> None:
        records = [Record(DELIVERIES, partition, b"k", str(value).encode()) for value in values]
        await (await town.publisher.enqueue(records)).confirmed()

    return publish


@pytest.fixture
def committed(town):
    async def committed() -> dict[int, int]:
        return (await town.inbox.look()).committed

    return committed
