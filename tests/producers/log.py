"""What stands in the topics, and how far the inbox consumers are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.events import DELIVERY_RECORDS, Delivery
from infra.kafka.topics import DELIVERIES
from tests.builders import BOB
from tests.patience import PATIENCE_S


async def deliveries(town, count: int) -> list[Delivery]:
    """What the topic has once it has so many deliveries. Those of one partition are in order."""
    found: list[Delivery] = []
    async with _reading(town) as consumer:
        while len(found) < count:
            found.extend(DELIVERY_RECORDS.decode((await consumer.getone()).value))
    return found


async def all_deliveries(town) -> list[Delivery]:
    """What the topic has now. Those of one partition are in order."""
    found: list[Delivery] = []
    async with _reading(town) as consumer:
        for _ in range(await end_of(town, DELIVERIES)):
            found.extend(DELIVERY_RECORDS.decode((await consumer.getone()).value))
    return found


async def records_in(town, partition: int, count: int) -> list[list[Delivery]]:
    """The records of this partition of the topic of deliveries, up to the one with the last of so many."""
    found: list[list[Delivery]] = []
    async with _reading(town) as consumer:
        while sum(map(len, found)) < count:
            record = await consumer.getone()
            if record.partition == partition:
                found.append(list(DELIVERY_RECORDS.decode(record.value)))
    return found


@asynccontextmanager
async def _reading(town) -> AsyncIterator[AIOKafkaConsumer]:
    """The topic of deliveries from its beginning, for as long as a test waits."""
    consumer = town.clients.log.consumer("deliveries-test", 10)
    consumer.subscribe([town.clients.log.topic(DELIVERIES)])
    await consumer.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield consumer
    finally:
        await consumer.stop()


async def end_of(town, topic: str) -> int:
    async with town.clients.log.observer() as observer:
        return sum((await observer.bounds(topic))[1].values())


async def commit_past(town, offsets: dict[int, int]) -> None:
    """As the inbox consumers do."""
    consumer = town.clients.log.consumer("inbox", 10)
    name = town.clients.log.topic(DELIVERIES)
    consumer.assign([TopicPartition(name, partition) for partition in offsets])
    await consumer.start()
    await consumer.commit({TopicPartition(name, p): offset for p, offset in offsets.items()})
    await consumer.stop()


async def bob_has(town, expected: int) -> bool:
    return await town.stores.timelines.head(BOB) >= expected
