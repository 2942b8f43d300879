"""Each engine killed, and Kafka emptied, under a Ringpost that serves: what clients see, exactly."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pymongo
import pytest

from infra.kafka.clients import Log
from infra.kafka.topics import TOPICS
from infra.local.stack import LocalEngines
from infra.mongo.rows import ROWS
from infra.redis.client import open_redis
from tests.builders import settings_for, until
from tests.engines import Engines
from tests.patience import PATIENCE_S
from tests.system.parts import opened_parts
from tests.system.people import Conversation, World, opened_world

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.own_engines]

SETTINGS = {
    "RINGPOST_OUTBOX_LEASE_S": "3",
    "RINGPOST_OUTBOX_SCAN_S": "0.3",
    "RINGPOST_WORKER_SESSION_S": "6",
    "RINGPOST_KAFKA_CONFIRM_S": "1",
    "RINGPOST_MONGO_TIMEOUT_S": "2",
    "RINGPOST_OUTBOX_ROWS": "60",
}

IN_THE_FAULT = 100


class Scene(NamedTuple):
    world: World
    local: LocalEngines
    engines: Engines
    folder: Path
    group: Conversation

    def kill(self, engine: str) -> None:
        os.kill(self.local.pid(engine), signal.SIGKILL)

    async def counts(self, unique: str) -> tuple[int, int]:
        """Records in all topics, and keys in Redis."""
        settings = settings_for(self.engines, unique)
        log = Log(settings.kafka)
        async with log.observer() as observer, open_redis(settings.redis) as client:
            ends = [(await observer.bounds(topic.name))[1] for topic in TOPICS]
            return sum(sum(some.values()) for some in ends), await client.dbsize()


@asynccontextmanager
async def scene(unique: str, folder: Path, seed: int, **settings: str) -> AsyncIterator[Scene]:
    """Two API processes, inbox, push, relay, and five people in one group who have sent 20 messages."""
    async with LocalEngines(folder / "engines") as local:
        engines = Engines(local.url("mongo"), local.url("kafka"), local.url("redis"))
        async with opened_parts(engines, unique, folder, **SETTINGS | settings) as parts:
            first, second, *_ = await parts.start("api", "api", "inbox", "push", "relay")
            async with opened_world([first.url, second.url], seed, users=5) as world:
                group = await world.open_group(*world.users)
                await world.send_all([group] * 20)
                for user in world.users:
                    await world.settled(user)
                await asyncio.to_thread(until_empty, engines, unique)
                yield Scene(world, local, engines, folder, group)


def until_empty(engines: Engines, unique: str) -> None:
    """Wait until the outbox is empty: everything is where it belongs, and nothing is spread any more."""
    with pymongo.MongoClient[dict[str, object]](engines.mongo_url) as mongo:
        end = time.monotonic() + PATIENCE_S
        while mongo[unique]["messages"].count_documents({"_id": ROWS}):
            assert time.monotonic() < end
            time.sleep(0.05)


async def readiness(scene: Scene, expected: str) -> None:
    """Wait until every API process finds itself so: `200 degraded: kafka`."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        for url in scene.world.urls:

            async def as_expected(url: str = url) -> bool:
                answer = await client.get(f"{url}/health/ready")
                return f"{answer.status_code} {answer.json()['status']}" == expected

            await until(as_expected, 60, 0.3)


async def one_after_the_other(scene: Scene, count: int) -> None:
    for _ in range(count):
        await scene.world.send_all([scene.group])


async def test_without_mongodb_sends_fail_fast_and_rings_go_on(unique: str, tmp_path: Path) -> None:
    async with scene(unique, tmp_path, seed=1) as at:
        world, user = at.world, at.world.users[0]
        before = [await world.pull(one, 100) for one in world.users]
        counts = await at.counts(unique)
        at.kill("mongo")
        refused = await asyncio.gather(*(world.try_send(at.group, user, f"x{n}") for n in range(40)))
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.json()["error"]["code"] for answer in refused} <= {"unavailable", "overloaded"}
        assert all("retry-after" in answer.headers for answer in refused)
        # All devices at once come back with their cursor, and pull: none of it asks MongoDB.
        async with world.devices_running():
            for some in world.devices.values():
                for device in some:
                    await until(lambda it=device: len(it.entries) == 20)
            assert [await world.pull(one, 100) for one in world.users] == before
            await readiness(at, "200 degraded: mongo")

        async def no_trace() -> bool:
            return await at.counts(unique) == counts

        await until(no_trace)
        await at.local.restart("mongo")
        await one_after_the_other(at, 3)
        async with world.devices_running():
            await world.check_devices()


@pytest.mark.parametrize("emptied", [False, True], ids=["killed", "emptied"])
async def test_without_kafka_sends_succeed_and_arrive(unique: str, tmp_path: Path, emptied: bool) -> None:
    async with scene(unique, tmp_path, seed=2) as at, at.world.devices_running():
        at.kill("kafka")
        await one_after_the_other(at, 30)
        await readiness(at, "200 degraded: kafka")
        full = await until(lambda: refused_for(at, "overloaded"))
        assert full, "the outbox is bounded"
        if emptied:
            for name in ("data", "cluster-id"):
                forget(at.folder / "engines" / "kafka" / name)
        await at.local.restart("kafka")
        await one_after_the_other(at, 10)
        await at.world.check_devices()


def forget(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


async def refused_for(at: Scene, code: str) -> bool:
    """Send one more; whether it was refused, and with this code."""
    world, name = at.world, f"full-{len(at.world.acknowledged)}"
    answer = await world.try_send(at.group, world.users[0], name)
    if answer.is_success:
        world.note_sent(name, at.group, answer.json()["message_id"])
        return False
    return answer.json()["error"]["code"] == code


async def test_redis_killed_and_back_empty_costs_no_message(unique: str, tmp_path: Path) -> None:
    async with scene(unique, tmp_path, seed=3) as at:
        async with at.world.devices_running():
            at.kill("redis")
            await one_after_the_other(at, 10)
            await readiness(at, "200 degraded: redis")
            assert len(await at.world.pull(at.world.users[0], 7)) >= 20
            await at.local.restart("redis")
            await one_after_the_other(at, 10)
            await at.world.check_devices()
        assert len(set(at.world.acknowledged.values())) == 40


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL], ids=["hanging", "killed"])
async def test_redis_that_does_not_answer_delays_and_refuses_nobody(
    unique: str, tmp_path: Path, fault: signal.Signals
) -> None:
    """I7. More sends and pulls, one after the other, than could wait for its time-out within our patience."""
    slow = {"RINGPOST_REDIS_TIMEOUT_S": "2", "RINGPOST_OUTBOX_ROWS": "5000"}
    async with scene(unique, tmp_path, seed=4, **slow) as at:
        world = at.world
        os.kill(at.local.pid("redis"), fault)
        async with asyncio.timeout(PATIENCE_S):
            for number in range(IN_THE_FAULT):
                name, user = f"away-{number}", world.users[number % len(world.users)]
                answer = await world.try_send(at.group, user, name, number)
                assert answer.is_success, answer.text
                world.note_sent(name, at.group, answer.json()["message_id"])
                await world.pull(user, 100)
        if fault == signal.SIGSTOP:
            os.kill(at.local.pid("redis"), signal.SIGCONT)
        else:
            await at.local.restart("redis")
        await readiness(at, "200 ok")
        async with world.devices_running():
            await one_after_the_other(at, 10)
            await world.check_devices()
