"""A whole Ringpost in many processes under seeded traffic: nobody misses anything, nobody gets it twice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.engines import Engines
from tests.system.parts import opened_parts
from tests.system.people import Conversation, World, opened_world

pytestmark = pytest.mark.system

ALL = ("api", "api", "inbox", "inbox", "push", "push", "relay")
MESSAGES = int(os.environ.get("RINGPOST_TEST_MESSAGES", "2000"))
CAPACITY = min(200, MESSAGES // 10)
USERS = 50
IMPATIENT = {
    "RINGPOST_OUTBOX_LEASE_S": "2",
    "RINGPOST_OUTBOX_SCAN_S": "0.5",
    "RINGPOST_WORKER_SESSION_S": "6",
}


async def open_conversations(world: World, groups: int, directs: int) -> None:
    """Groups of three to ten, and pairs; the same for the same seed."""
    for _ in range(groups):
        await world.open_group(*world.rng.sample(world.users, world.rng.randint(3, 10)))
    for _ in range(directs):
        await world.open_direct(*world.rng.sample(world.users, 2))


def some_of(world: World, count: int) -> list[Conversation]:
    return world.rng.choices(world.conversations, k=count)


@pytest.mark.timeout(900)
async def test_every_device_gets_exactly_its_entries(engines: Engines, unique: str, tmp_path: Path) -> None:
    async with opened_parts(engines, unique, tmp_path, RINGPOST_RING_CAPACITY=str(CAPACITY)) as parts:
        first, second, *_ = await parts.start(*ALL)
        async with opened_world([first.url, second.url], seed=1, users=USERS) as world:
            await open_conversations(world, groups=10, directs=60)
            sleeper = world.users[0]
            busy = await world.open_group(sleeper, *world.users[1:8])
            plan = [busy if world.rng.random() < 0.2 else it for it in some_of(world, MESSAGES)]
            async with world.devices_running():
                await world.send_all(plan[: MESSAGES // 20])
                for device in world.devices[sleeper]:
                    device.sleep()
                before = [len(device.entries) for device in world.devices[sleeper]]
                await world.send_all(plan[MESSAGES // 20 :])
                await world.settled(sleeper)
                for device, had in zip(world.devices[sleeper], before, strict=True):
                    assert len(world.sent[sleeper]) - len(device.entries) > CAPACITY
                    assert len(device.entries) <= had + len(plan) // 20
                await world.check_devices()
            assert len(set(world.acknowledged.values())) == MESSAGES
            assert sum(device.connections for some in world.devices.values() for device in some) > 2 * USERS


@pytest.mark.faults
async def test_an_inbox_killed_in_traffic_loses_and_repeats_nothing(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        first, second, inbox, *_ = await parts.start(*ALL)
        async with opened_world([first.url, second.url], seed=2, users=10) as world:
            await open_conversations(world, groups=4, directs=8)
            async with world.devices_running():
                sending = asyncio.create_task(world.send_all(some_of(world, 300)))
                await world.until_acknowledged(100)
                await inbox.kill()
                await world.until_acknowledged(200)
                await asyncio.gather(sending, parts.start("inbox"))
                await world.check_devices()
            assert len(set(world.acknowledged.values())) == 300


@pytest.mark.faults
async def test_an_api_killed_in_sends_loses_and_repeats_nothing(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        first, second, *_ = await parts.start(*ALL)
        async with opened_world([first.url, second.url], seed=3, users=10) as world:
            await open_conversations(world, groups=4, directs=8)
            async with world.devices_running():
                sending = asyncio.create_task(world.send_all(some_of(world, 300)))
                await world.until_acknowledged(100)
                await second.kill()
                assert len(world.acknowledged) < 300
                await sending
                await world.check_devices()
            assert len(set(world.acknowledged.values())) == 300


@pytest.mark.faults
async def test_a_ring_of_any_capacity_raised_and_lowered(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    async with opened_parts(engines, unique, tmp_path) as parts:
        running = await parts.start("api", "inbox", RINGPOST_RING_CAPACITY="1")
        async with opened_world([running[0].url], seed=4, users=4) as world:
            await open_conversations_of_four(world)
            for capacity in (1, 2, 200, 2, 200, 1):
                await parts.stop(*running)
                running = await parts.start("api", "inbox", RINGPOST_RING_CAPACITY=str(capacity))
                world.urls[:] = [running[0].url]
                for _ in range(3):
                    await world.send_all(some_of(world, 20))
                    for user in world.users:
                        await world.settled(user)
                        for limit in (7, 100):
                            world.check_entries(user, await world.pull(user, limit))


async def open_conversations_of_four(world: World) -> None:
    await world.open_group(*world.users)
    await world.open_group(*world.users[:3])
    await world.open_direct(*world.users[:2])
    await world.open_direct(*world.users[2:])
