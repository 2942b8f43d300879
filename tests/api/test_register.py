"""Presence of the sessions of a gateway, in whatever order they come and go."""

from __future__ import annotations

import asyncio

import pytest

from api.gateway.register import Register
from infra.redis.presence import Online, Place, Presence
from tests.builders import opened_stores, settings_for, until

GATEWAY = "g1"
FIRST, SECOND = Online("ann", "phone", "s1"), Online("ann", "phone", "s2")


class Counted(Presence):
    """The real presence, which counts its writes, and can hold them up."""

    def __init__(self, stores) -> None:
        super().__init__(stores.redis, stores.keys, 60)
        self.writes = 0
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, gateway_id, changes):
        self.writes += 1
        await self.open.wait()
        return await super().write(gateway_id, changes)


@pytest.fixture
async def presence(engines, unique):
    async with opened_stores(settings_for(engines, unique)) as stores:
        yield Counted(stores)


async def test_former_session_that_leaves_after_the_next_one_joined_leaves_alone(presence):
    """I10: as when a device comes back before its broken connection was noticed."""
    register = Register(GATEWAY, presence)
    await register.join(FIRST)
    presence.open.clear()
    joining = asyncio.create_task(register.join(SECOND))
    await until(lambda: presence.writes == 2)
    register.leave(FIRST)
    presence.open.set()
    await joining
    await until(lambda: presence.writes == 3)
    assert await register.join(SECOND) == [Place(GATEWAY, "phone", "s2")]


async def test_session_that_left_is_not_renewed_and_not_written_late(presence):
    register = Register(GATEWAY, presence)
    await register.join(FIRST)
    presence.open.clear()
    renewing = asyncio.create_task(register.renew())
    joining = asyncio.create_task(register.join(SECOND))
    await until(lambda: presence.writes == 2)
    register.leave(FIRST)
    register.leave(SECOND)
    presence.open.set()
    await asyncio.gather(renewing, joining)

    async def nobody() -> bool:
        return await presence.places(["ann"]) == [[]]

    await until(nobody)


async def test_session_that_goes_before_its_join_is_written_is_not_online(presence):
    register = Register(GATEWAY, presence)
    presence.open.clear()
    joining = [asyncio.create_task(register.join(session)) for session in (FIRST, SECOND)]
    await until(lambda: presence.writes == 1)
    joining[0].cancel()
    register.leave(FIRST)
    presence.open.set()
    await asyncio.wait(joining)

    async def only_the_second() -> bool:
        return await presence.places(["ann"]) == [[Place(GATEWAY, "phone", "s2")]]

    await until(only_the_second)


async def test_sessions_that_join_together_share_a_write(presence):
    register = Register(GATEWAY, presence)
    sessions = [Online(f"u{n}", "phone", "s") for n in range(400)]
    places = await asyncio.gather(*map(register.join, sessions))
    assert places == [[Place(GATEWAY, "phone", "s")]] * len(sessions)
    assert presence.writes <= 2
