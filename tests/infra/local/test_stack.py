from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import AsyncMongoClient

from infra.local.kafka import KafkaServer
from infra.local.process import LocalEngineError
from infra.local.stack import LocalEngines
from tests.infra.local.orphans import STACK, all_gone, is_alive, running
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.own_engines
NAMES = ("mongo", "kafka", "redis")


async def store(engines: LocalEngines) -> None:
    """One thing in each of the two engines that keep what they are given."""
    client: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(
        engines.url("mongo"), w="majority", journal=True, serverMonitoringMode="poll"
    ) as client:
        await client.test.things.insert_one({"_id": 1})
    admin = AIOKafkaAdminClient(bootstrap_servers=engines.url("kafka"))
    await admin.start()
    await admin.create_topics([NewTopic("things", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=engines.url("kafka"), acks="all") as producer:
        await producer.send_and_wait("things", b"1")


async def found(engines: LocalEngines) -> bool:
    """Whether both are there, and more can be stored."""
    client: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(engines.url("mongo"), w="majority", serverMonitoringMode="poll") as client:
        await client.test.more.insert_one({})
        document = await client.test.things.find_one({"_id": 1})
    async with AIOKafkaProducer(bootstrap_servers=engines.url("kafka"), acks="all") as producer:
        await producer.send_and_wait("things", b"more")
    consumer = AIOKafkaConsumer(
        "things", bootstrap_servers=engines.url("kafka"), auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(PATIENCE_S):
        record = await consumer.getone()
    return document is not None and record.value == b"1"


def addresses(engines: LocalEngines) -> list[str]:
    return [info.address for info in engines.running]


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_restart_finds_the_data_on_the_same_ports_and_on_others(tmp_path: Path) -> None:
    async with LocalEngines(tmp_path) as engines:
        assert [info.name for info in engines.running] == ["MongoDB", "Apache Kafka", "Redis"]
        assert all(info.version for info in engines.running)
        origins = [info.source.partition("from ")[0] for info in engines.running]
        assert origins == ["", "Java ", ""]
        await store(engines)
        first, pids = addresses(engines), [engines.pid(name) for name in NAMES]
    assert not any(map(is_alive, pids))
    async with LocalEngines(tmp_path) as engines:
        assert addresses(engines) == first
        assert await found(engines)
    async with AsyncExitStack() as strangers:
        for address in first:
            port = int(address.split(":")[1])
            await strangers.enter_async_context(await asyncio.start_server(hang_up, "127.0.0.1", port))
        async with LocalEngines(tmp_path) as engines:
            assert not set(addresses(engines)) & set(first)
            assert await found(engines)


async def test_killed_parent_leaves_no_engine_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    async with LocalEngines(tmp_path) as engines:
        await store(engines)
    with running(STACK, str(tmp_path)) as (parent, pids):
        assert len(pids) == len(NAMES)
        assert all(map(is_alive, pids))
        with pytest.raises(LocalEngineError, match=f"already in use by process {parent.pid}"):
            await LocalEngines(tmp_path).__aenter__()
        parent.kill()
        parent.wait()
        async with LocalEngines(tmp_path) as engines:
            assert all_gone(pids)
            assert await found(engines)


async def test_crashed_engine_is_named_and_restarted_on_its_data_and_address(tmp_path: Path) -> None:
    async with LocalEngines(tmp_path) as engines:
        await store(engines)
        first = addresses(engines)
        for name in NAMES:
            os.kill(engines.pid(name), signal.SIGKILL)
            assert await asyncio.wait_for(engines.wait_crash(), PATIENCE_S) == name
            await engines.restart(name)
        assert addresses(engines) == first
        assert await found(engines)


async def test_only_the_engines_asked_for_are_started(tmp_path: Path) -> None:
    async with LocalEngines(tmp_path, which={"redis"}) as engines:
        assert [info.name for info in engines.running] == ["Redis"]
        with pytest.raises(LocalEngineError, match="kafka is not one of those"):
            _ = engines.url("kafka")
    with pytest.raises(ValueError, match="no such engine: rabbit"):
        LocalEngines(tmp_path, which={"rabbit"})


async def test_engine_that_cannot_start_shows_its_log_and_takes_the_others_down(tmp_path: Path) -> None:
    (tmp_path / "mongo" / "data").mkdir(parents=True)
    (tmp_path / "mongo" / "data" / "storage.bson").write_text("not what MongoDB wrote")
    with pytest.raises(LocalEngineError, match=r"(?s)MongoDB ended with .*mongo\.log:\n"):
        async with LocalEngines(tmp_path, which={"mongo", "redis"}):
            pytest.fail("it started")
    async with LocalEngines(tmp_path, which={"redis"}):
        pass


async def test_cancelled_start_leaves_nothing_running(tmp_path: Path) -> None:
    engines = LocalEngines(tmp_path)
    start = asyncio.create_task(engines.__aenter__())
    async with asyncio.timeout(PATIENCE_S):
        while not (pids := [pid for name in NAMES if (pid := engines.pid(name))]):
            await asyncio.sleep(0.01)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert all_gone(pids)
    async with LocalEngines(tmp_path, which={"redis"}):
        pass


def test_kafka_tells_its_clients_where_to_come_and_listens_where_it_did(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, print)
    server.ports = {"broker": 1111, "controller": 2222}
    server.advertised_port = 3333
    settings = server.settings()
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:3333"
    assert (server.url, server.address) == ("127.0.0.1:3333", "127.0.0.1:1111")
