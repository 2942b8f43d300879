"""A whole Ringpost in traffic while an engine fails over: nobody misses anything, nobody gets it twice.

Each test has engines of its own, whatever the others run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from infra.local.stack import LocalEngines
from tests.clusters import Member, kafka_cluster, mongo_set, redis_set
from tests.engines import Engines
from tests.system.parts import opened_parts
from tests.system.people import World, opened_world
from tests.system.test_whole import ALL, IMPATIENT, open_conversations, some_of

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.own_engines]

Cluster = TypeVar("Cluster")
NAME = "whole"
TOPIC = f"{NAME}.deliveries"
USERS = 8
ROUND = 16
PAUSE_S = 0.1
IN_TRAFFIC = 60
"""Messages acknowledged before and after each step, so that every step lies in traffic."""


@asynccontextmanager
async def beside(
    cluster: AbstractAsyncContextManager[Cluster], folder: Path, *which: str
) -> AsyncIterator[tuple[Cluster, LocalEngines]]:
    """The cluster that fails over, and the engines that do not, started side by side."""
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as starting:
            made = starting.create_task(stack.enter_async_context(cluster))
            others = LocalEngines(folder / "engines", which=which)
            rest = starting.create_task(stack.enter_async_context(others))
        yield made.result(), rest.result()


async def talk(world: World, ended: asyncio.Event) -> None:
    """Traffic at a bounded rate, until told to end and everything sent is acknowledged."""
    while not ended.is_set():
        await world.send_all(some_of(world, ROUND))
        await asyncio.sleep(PAUSE_S)


async def survive(
    engines: Engines, folder: Path, steps: list[Callable[[], Awaitable[None]]], **settings: str
) -> None:
    """Traffic, one step after the other in it, traffic; then every device has exactly its entries."""
    async with opened_parts(engines, NAME, folder, short_lived=True, **IMPATIENT, **settings) as parts:
        first, second, *_ = await parts.start(*ALL)
        async with opened_world([first.url, second.url], seed=7, users=USERS) as world:
            await open_conversations(world, groups=4, directs=8)
            async with world.devices_running():
                ended = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    group.create_task(talk(world, ended))
                    for step in steps:
                        await world.until_acknowledged(len(world.acknowledged) + IN_TRAFFIC)
                        await step()
                    await world.until_acknowledged(len(world.acknowledged) + IN_TRAFFIC)
                    ended.set()
                await world.check_devices()
            assert len(set(world.acknowledged.values())) == len(world.acknowledged)


async def test_primary_of_mongo_killed_in_traffic(tmp_path: Path) -> None:
    async with beside(mongo_set(), tmp_path, "kafka", "redis") as (cluster, rest):
        old = await cluster.primary()

        async def kill() -> None:
            await old.kill()
            await cluster.primary(other_than=old)

        async def come_back() -> None:
            await old.restart()
            await cluster.whole()

        engines = Engines(cluster.url, rest.url("kafka"), rest.url("redis"))
        await survive(engines, tmp_path, [kill, come_back])


async def test_broker_that_leads_killed_in_traffic(tmp_path: Path) -> None:
    async with beside(kafka_cluster(), tmp_path, "mongo", "redis") as (cluster, rest):
        killed: list[Member] = []

        async def kill() -> None:
            leader = await cluster.leader(TOPIC)
            assert leader is not None
            killed.append(leader)
            await leader.kill()
            await cluster.moved(TOPIC, leader)

        async def come_back() -> None:
            await killed[0].restart()
            await cluster.whole(TOPIC)

        engines = Engines(rest.url("mongo"), cluster.bootstrap, rest.url("redis"))
        await survive(engines, tmp_path, [kill, come_back], RINGPOST_KAFKA_REPLICATION="3")


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_primary_of_redis_lost_in_traffic(tmp_path: Path, fault: str) -> None:
    """What was only paused wakes up as a second primary, and is told by Sentinel that it is none."""
    async with beside(redis_set(), tmp_path, "mongo", "kafka") as (cluster, rest):
        old = await cluster.primary()

        async def lose() -> None:
            await old.kill() if fault == "killed" else old.pause()
            await cluster.moved(old)

        async def come_back() -> None:
            await old.restart() if fault == "killed" else old.go_on()
            await cluster.whole()

        engines = Engines(rest.url("mongo"), rest.url("kafka"), cluster.url)
        await survive(engines, tmp_path, [lose, come_back], RINGPOST_REDIS_TIMEOUT_S="1")
