from __future__ import annotations

import asyncio

import pytest

from infra.kafka.dead_letters import BATCH, DeadLetterTool
from infra.kafka.publisher import Record
from infra.kafka.topics import ARRIVALS, DELIVERIES, DLQ
from tests.builders import PARTITIONS
from tests.infra.kafka.test_publisher_reader import publish, reading, take


def letter(topic: str, partition: int, value: bytes) -> Record:
    headers = [
        ("topic", topic.encode()),
        ("partition", b"%d" % partition),
        ("offset", b"77"),
        ("timestamp", b"1000"),
        ("group", b"inbox"),
        ("error", b"ValueError"),
        ("message", b"It is not \xff one."),
    ]
    return Record(topic + DLQ, partition, b"key", value, headers)


async def letters(tool):
    return [one async for one in tool.letters()]


@pytest.fixture
def tool(log):
    return DeadLetterTool(log)


async def test_where_there_are_none_none_are_found_or_replayed(tool):
    assert await letters(tool) == []
    assert await tool.replay(DELIVERIES) == 0


async def test_a_letter_says_where_it_came_from_and_why(tool, publisher):
    await publish(publisher, [letter(ARRIVALS, 2, b"?")])
    (found,) = await letters(tool)
    assert (found.topic, found.partition, found.offset) == (ARRIVALS, 2, 0)
    assert (found.origin_offset, found.timestamp_ms, found.group) == (77, 1000, "inbox")
    assert (found.error, found.message) == ("ValueError", "It is not \ufffd one.")
    assert (found.key, found.value) == (b"key", b"?")


async def test_replayed_letters_are_back_in_their_partitions_in_order_and_gone_here(log, tool, publisher):
    count = BATCH + 3
    await publish(publisher, [letter(DELIVERIES, 1, b"%d" % n) for n in range(count)])
    await publish(publisher, [letter(DELIVERIES, 3, b"-1"), letter(ARRIVALS, 0, b"-2")])
    assert await tool.replay(DELIVERIES) == count + 1
    async with reading(log) as reader:
        taken = await take(reader, count + 1)
    assert [n for n in taken if n >= 0] == list(range(count))
    assert sorted(taken)[0] == -1
    assert [one.topic for one in await letters(tool)] == [ARRIVALS]
    assert await tool.replay(DELIVERIES) == 0


async def test_letters_in_every_partition_are_found(tool, publisher):
    for partition in range(PARTITIONS):
        await publish(publisher, [letter(DELIVERIES, partition, b"0")] * 2)
    found = await letters(tool)
    assert [(one.partition, one.offset) for one in found] == [
        (p, o) for p in range(PARTITIONS) for o in (0, 1)
    ]


async def test_a_look_at_no_letters_leaves_nothing_running(log):
    before = asyncio.all_tasks()
    assert [letter async for letter in DeadLetterTool(log).letters()] == []
    assert asyncio.all_tasks() == before
