from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError
from aiokafka.partitioner import DefaultPartitioner

from domain.clock import now_ms
from domain.errors import Unavailable
from infra.kafka.clients import Log, partition_of, stopped, translated
from infra.kafka.publisher import Confirmed, Record, open_publisher
from infra.kafka.reader import Reader
from infra.kafka.topics import DELIVERIES, MESSAGES
from tests.builders import PARTITIONS, until


def records(count: int, partition: int = 0) -> list[Record]:
    return [Record(DELIVERIES, partition, b"%d" % partition, b"%d" % n) for n in range(count)]


async def publish(publisher, some: list[Record]) -> list[Confirmed]:
    return await (await publisher.enqueue(some)).confirmed()


@asynccontextmanager
async def reading(log):
    reader = Reader(log, "inbox", DELIVERIES, 10)

    async def nothing() -> None:
        return

    await reader.open(nothing)
    try:
        await until(lambda: reader.joined)
        yield reader
    finally:
        await reader.close()


async def take(reader: Reader, count: int) -> list[int]:
    """The values of the next `count` records."""
    taken: list[int] = []

    async def enough() -> bool:
        taken.extend(int(record.value) for record in await reader.take(count - len(taken), 200))
        return len(taken) >= count

    await until(enough)
    return taken


async def test_records_lie_in_the_order_in_which_they_were_handed_over(log, publisher):
    receipts = [await publisher.enqueue([record]) for record in records(200)]
    offsets = [where.offset for receipt in receipts for where in await receipt.confirmed()]
    assert offsets == list(range(200))
    async with reading(log) as reader:
        assert await take(reader, 200) == list(range(200))


async def test_confirmation_tells_where_each_record_lies(publisher):
    confirmed = await publish(publisher, [*records(2, 1), *records(1, 3)])
    assert confirmed == [(DELIVERIES, 1, 0), (DELIVERIES, 1, 1), (DELIVERIES, 3, 0)]


async def test_records_of_one_key_share_a_partition(publisher):
    same = [Record(MESSAGES, None, b"g:x", b"m") for _ in range(20)]
    assert len({where.partition for where in await publish(publisher, same)}) == 1


async def test_new_member_goes_on_after_the_last_commit(log, publisher):
    await publish(publisher, records(10))
    async with reading(log) as reader:
        await take(reader, 10)
        await reader.commit({0: 4})
    async with reading(log) as reader:
        assert await take(reader, 6) == [4, 5, 6, 7, 8, 9]


async def test_what_was_not_committed_is_read_again(log, publisher):
    await publish(publisher, records(5))
    for _ in range(2):
        async with reading(log) as reader:
            assert await take(reader, 5) == [0, 1, 2, 3, 4]


async def test_rewind_reads_again_also_where_nothing_was_ever_committed(log, publisher):
    await publish(publisher, records(5))
    async with reading(log) as reader:
        await take(reader, 5)
        reader.rewind({0: 2, 1: 0})
        assert await take(reader, 3) == [2, 3, 4]
        reader.rewind({0: 0})
        assert await take(reader, 5) == [0, 1, 2, 3, 4]


async def test_commits_and_rewinds_of_partitions_of_others_are_left_out(log, publisher):
    await publish(publisher, records(3))
    async with reading(log) as reader:
        await take(reader, 3)
        await reader.commit({0: 3, PARTITIONS + 5: 7})
        reader.rewind({PARTITIONS + 5: 7})
    async with log.progress("inbox", DELIVERIES) as inbox:
        assert (await inbox.look()).committed == {0: 3}


async def test_reader_knows_how_much_waits(log, publisher):
    await publish(publisher, records(9))
    async with reading(log) as reader:
        await take(reader, 2)
        assert await reader.behind() == 7


async def test_take_returns_nothing_when_nothing_comes(log):
    async with reading(log) as reader:
        assert await reader.take(10, 50) == []


async def test_records_of_a_process_whose_clock_is_hours_ahead_are_taken(log):
    """Were they refused, the producer could never publish again: its numbering would have a hole."""
    producer = await log.start_producer()
    for offset in range(2):
        where = await producer.send_and_wait(
            log.topic(DELIVERIES), b"1", partition=0, timestamp_ms=now_ms() + 36_000_000
        )
        assert where.offset == offset
    await stopped(producer)


async def is_refused(publisher, some: list[Record]) -> bool:
    try:
        await publish(publisher, some)
    except Unavailable:
        return True
    return False


async def test_producer_that_kafka_refused_is_replaced(log, publisher):
    """The record that was refused is a hole in the numbers of an idempotent producer."""
    topic = ConfigResource(ConfigResourceType.TOPIC, log.topic(DELIVERIES), {"max.message.bytes": "2000"})
    async with log.admin() as admin:
        await admin.alter_configs([topic])
    await publish(publisher, records(1))
    large = Record(DELIVERIES, 0, b"0", b"x" * 5000)
    await until(lambda: is_refused(publisher, [large]))
    for n in range(3):
        await publish(publisher, records(n + 1))


async def test_record_of_which_kafka_is_silent_is_given_up(log):
    """The broker is there, and the topic is not, some time after it was told to remove it."""
    async with log.admin() as admin:
        await admin.delete_topics([log.topic(DELIVERIES)])
    async with open_publisher(Log(log.settings.model_copy(update={"confirm_s": 1.0}))) as publisher:
        await until(lambda: is_refused(publisher, records(1)))


def test_key_has_the_partition_that_other_clients_choose_for_it():
    usual, every = DefaultPartitioner(), list(range(7))
    for key in [b"", b"g:1", "d:ann:böb".encode(), *(b"%d" % number for number in range(100))]:
        assert partition_of(key, every, every) == usual(key, every, every)


def test_worker_whose_partitions_went_to_another_one_is_told_why_that_may_be():
    with pytest.raises(Unavailable, match="RINGPOST_WORKER_INSTANCE"), translated():
        raise CommitFailedError
