"""Each way of having engines gives three that serve, and the tests' event loops do not own them."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient, WriteConcern
from redis.asyncio import Redis

from tests.engines import Engines


@pytest.mark.parametrize("loop", ["one", "another"])
async def test_engines_serve_whatever_loop_a_test_runs_in(engines: Engines, unique: str, loop: str) -> None:
    async with (
        AsyncMongoClient(engines.mongo_url, serverMonitoringMode="poll") as mongo,
        Redis.from_url(engines.redis_url) as redis,
    ):
        majority = WriteConcern("majority", j=True)
        await mongo[unique].get_collection("things", write_concern=majority).insert_one({"_id": loop})
        assert await mongo[unique].things.count_documents({}) == 1
        await mongo.drop_database(unique)
        assert await redis.set(unique, loop)
        assert await redis.delete(unique) == 1
    await _make_topic_and_write(engines.kafka_bootstrap, unique)


async def _make_topic_and_write(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
        ) as producer:
            written = await producer.send_and_wait(topic, b"value", partition=1)
            assert (written.partition, written.offset) == (1, 0)
        await admin.delete_topics([topic])
    finally:
        await admin.close()


def test_unique_name_suits_databases_topics_and_keys(unique: str) -> None:
    assert unique.isidentifier()
    assert len(unique) == 11
