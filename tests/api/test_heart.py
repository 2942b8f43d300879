"""Heads for many sessions: few reads, no ring rebuilt, and nobody waits for a store that is slow."""

from __future__ import annotations

import asyncio

import pytest

from api.gateway.heart import Heart
from api.gateway.hub import Hub
from api.sync import Sync
from infra.mongo.timelines import TimelineStore
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from tests.api.wire import arrive, connected, joined
from tests.builders import mongo_reads, opened_stores, running, settings_for, until


@pytest.fixture
async def stores(engines, unique):
    async with opened_stores(settings_for(engines, unique, gateway={"heartbeat_s": 0.1})) as stores:
        yield stores


class Slow(TimelineStore):
    """The real timelines, whose heads are not told before it is `open`."""

    def __init__(self, stores) -> None:
        super().__init__(stores.database)
        self.open = asyncio.Event()
        self.asked = 0

    async def head(self, user):
        self.asked += 1
        await self.open.wait()
        return await super().head(user)


def made_sync(stores, timelines=None) -> Sync:
    ring = Ring(stores.redis, stores.keys, stores.settings.ring)
    return Sync(ring, timelines or stores.timelines, stores.contents)


async def test_head_without_a_ring_is_one_read_of_the_timeline_and_makes_no_ring(stores, engines, unique):
    await arrive(stores, 1, 30)
    before = mongo_reads(engines.mongo_url, unique)
    assert await made_sync(stores).head("ann") == 30
    assert mongo_reads(engines.mongo_url, unique) - before == {"timelines": 1}
    assert await stores.redis.exists(stores.keys.ring("ann")) == 0


async def test_user_without_a_ring_is_given_an_empty_one_by_the_first_heartbeat(stores, engines, unique):
    """No message is read for it, and the next heartbeats do not read MongoDB."""
    await arrive(stores, 1, 3)
    heart = Heart(made_sync(stores), 0.0)
    async with connected(stores) as (session, wire):
        session.start(3, 3)
        heart.add(session)
        before = mongo_reads(engines.mongo_url, unique)
        await heart.beat()
        await until(lambda: len(wire.frames) == 1)
        for beats in (2, 3):
            await heart.beat()
            await until(lambda beats=beats: len(wire.frames) == beats)
    assert wire.frames == [{"type": "heartbeat", "head": 3}] * 3
    assert mongo_reads(engines.mongo_url, unique) - before == {"timelines": 1}
    assert (await made_sync(stores).pull("ann", 1, 10)).cursor == 3
    await heart.stop()


async def test_user_who_comes_online_has_a_ring_for_what_comes_from_then_on(stores, engines, unique):
    """So a device that comes back soon is served without MongoDB, though the user never pulled."""
    await arrive(stores, 1, 3)
    sync = made_sync(stores)
    assert await sync.first_page("ann", 3, 10) == (3, [])
    later = await arrive(stores, 4, 6)
    before = mongo_reads(engines.mongo_url, unique)
    assert await sync.first_page("ann", 3, 10) == (6, later)
    assert not mongo_reads(engines.mongo_url, unique) - before
    assert (await sync.pull("ann", 0, 10)).cursor == 6  # what is older comes from the store


async def test_user_who_comes_and_misses_something_has_the_ring_that_the_pull_rebuilds(stores):
    """It holds what the other devices of the user miss as well."""
    await arrive(stores, 1, 3)
    sync = made_sync(stores)
    assert await sync.first_page("ann", 2, 10) == (3, [])
    assert (await sync.pull("ann", 2, 10)).cursor == 3
    held = await Ring(stores.redis, stores.keys, stores.settings.ring).read("ann", 0, 10)
    assert [entry.seq for entry in held.entries] == [1, 2, 3]


async def test_presence_is_renewed_and_hearts_beat_while_the_store_is_slow(stores):
    """I10: users without a ring wait for the store alone."""
    slow = Slow(stores)
    settings = stores.settings.gateway
    presence = Presence(stores.redis, stores.keys, settings.presence_ttl_s)
    hub = Hub(presence, Signals(stores.redis, stores.keys), made_sync(stores, slow), settings)
    await made_sync(stores).begin_ring("bob")

    async def ann_is_online() -> bool:
        return await presence.places(["ann"]) != [[]]

    async with (
        running(hub),
        connected(stores) as (session, _),
        connected(stores, "bob") as (other, wire),
        joined(hub, session),
        joined(hub, other),
    ):
        await until(lambda: slow.asked > 0)
        await stores.redis.delete(stores.keys.online("ann"), stores.keys.gateway_mark(hub.gateway_id))
        await until(ann_is_online)
        beats = len(wire.frames)
        await until(lambda: len(wire.frames) > beats)
        slow.open.set()
