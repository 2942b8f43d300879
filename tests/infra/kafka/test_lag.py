"""The lag as it is seen from outside."""

from __future__ import annotations

import pytest

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.lag import LagWatch
from infra.kafka.publisher import Record
from infra.kafka.reader import Reader
from infra.kafka.topics import ARRIVALS, DELIVERIES
from tests.builders import PARTITIONS, settings_for, until


async def test_a_group_that_has_no_worker_is_behind_by_all_that_lies_there(log, publisher):
    records = [Record(DELIVERIES, p % PARTITIONS, b"k", b"v") for p in range(10)]
    await (await publisher.enqueue([*records, Record(ARRIVALS, 0, b"k", b"v")])).confirmed()
    watch = LagWatch(log, PARTITIONS, 1)
    try:
        assert await watch.look() == {"inbox": 10, "push": 1}
    finally:
        await watch.close()


async def test_what_a_worker_has_committed_is_no_lag_when_it_is_gone(log, publisher):
    await (await publisher.enqueue([Record(DELIVERIES, 0, b"k", b"v")] * 5)).confirmed()
    reader = Reader(log, "inbox", DELIVERIES, 10)
    await reader.open(_nothing)
    await until(lambda: reader.take(10, 200))
    await reader.commit({0: 3})
    await reader.close()
    watch = LagWatch(log, PARTITIONS, 1)
    try:
        assert (await watch.look())["inbox"] == 2
    finally:
        await watch.close()


async def test_without_kafka_a_look_fails_and_a_step_goes_on(engines, unique):
    settings = settings_for(engines, unique, kafka={"bootstrap": "127.0.0.1:1"})
    watch = LagWatch(Log(settings.kafka), PARTITIONS, 1)
    with pytest.raises(Unavailable):
        await watch.look()
    await watch.step()


async def _nothing() -> None:
    return
