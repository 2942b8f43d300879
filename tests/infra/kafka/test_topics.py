from __future__ import annotations

import asyncio

import pytest

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.publisher import Record, open_publisher
from infra.kafka.reader import Reader
from infra.kafka.topics import DELIVERIES, DLQ, MESSAGES, TOPICS, TopicTool, ready_topics
from tests.builders import PARTITIONS, settings_for, until


async def test_topics_are_created_once_by_many_at_once(settings):
    tool = TopicTool(Log(settings.kafka))
    assert len(await tool.missing()) == len(TOPICS)
    await asyncio.gather(*(tool.create() for _ in range(4)))
    assert await tool.missing() == []
    assert await tool.create() == []


async def test_topics_are_listed_as_soon_as_they_are_created(engines, unique):
    """The controller answers before that, by a moment that an open connection is quick enough to see."""
    async with Log(settings_for(engines, unique).kafka).admin() as observer:
        for number in range(8):
            log = Log(settings_for(engines, f"{unique}-{number}").kafka)
            created = await TopicTool(log).create()
            assert set(created) <= set(await observer.list_topics())
            assert len(created) == len(TOPICS)


async def test_all_who_ask_get_the_same_partitions(settings, engines, unique):
    """The number is fixed at creation; a setting that differs later changes nothing."""
    assert await ready_topics(Log(settings.kafka)) == PARTITIONS
    other = settings_for(engines, unique, kafka={"partitions": 7})
    assert await ready_topics(Log(other.kafka)) == PARTITIONS


async def test_describe_tells_sizes_and_how_far_groups_are_behind(log, publisher):
    records = [Record(DELIVERIES, p % PARTITIONS, b"k", b"v") for p in range(10)]
    await (await publisher.enqueue(records)).confirmed()
    state = {row.topic.name: row for row in await TopicTool(log).describe()}
    assert set(state) == {topic.name for topic in TOPICS}
    deliveries = state[DELIVERIES]
    assert (deliveries.partitions, deliveries.records, deliveries.lags[0].behind) == (PARTITIONS, 10, 10)


async def test_lag_goes_down_with_what_is_committed(log, publisher):
    await (await publisher.enqueue([Record(DELIVERIES, 0, b"k", b"v")] * 5)).confirmed()
    reader = Reader(log, "inbox", DELIVERIES, 10)
    await reader.open(_nothing)
    await until(lambda: reader.take(10, 200))
    await reader.commit({0: 3})
    await reader.close()
    state = {row.topic.name: row for row in await TopicTool(log).describe()}
    assert state[DELIVERIES].lags[0].behind == 2


async def _nothing() -> None:
    return


def test_every_topic_that_is_read_has_a_dead_letter_topic():
    """I9: a record that cannot be processed has a place to go."""
    names = {topic.name for topic in TOPICS}
    assert all(topic.name + DLQ in names for topic in TOPICS if topic.groups)
    assert MESSAGES in names


async def test_kafka_that_is_not_there_is_unavailable(engines, unique):
    settings = settings_for(engines, unique, kafka={"bootstrap": "127.0.0.1:1"})
    log = Log(settings.kafka)
    with pytest.raises(Unavailable):
        await TopicTool(log).missing()
    with pytest.raises(Unavailable):
        async with open_publisher(log):
            pass
    with pytest.raises(Unavailable):
        async with log.progress("inbox", DELIVERIES) as inbox:
            await inbox.look()
