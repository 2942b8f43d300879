"""What stands in the topics, and how far the inbox consumers are."""

from __future__ import annotations

from aiokafka import TopicPartition

from domain.events import DELIVERY_RECORDS, Delivery
from infra.kafka.topics import DELIVERIES
from tests.builders import BOB, until


async def deliveries(town, count: int) -> list[Delivery]:
    """The first `count` deliveries of the topic."""
    consumer = town.clients.log.consumer("deliveries-test", 10)
    consumer.subscribe([town.clients.log.topic(DELIVERIES)])
    await consumer.start()
    found: list[Delivery] = []

    async def all_read() -> bool:
        some = await consumer.getmany(timeout_ms=100)
        for record in (record for records in some.values() for record in records):
            found.extend(DELIVERY_RECORDS.decode(record.value))
        return len(found) >= count

    await until(all_read)
    await consumer.stop()
    return found


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
