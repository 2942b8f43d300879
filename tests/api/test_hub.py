"""The gateway's ear: what it misses while it does not hear."""

from __future__ import annotations

import asyncio

import pytest

from api import gateway
from api.gateway.hub import Hub
from api.sync import Sync
from infra import tasks
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from tests.api.wire import arrive, connected, joined
from tests.builders import opened_stores, running, settings_for, until

TICKS = 60
"""More turns of the event loop than it takes to connect and subscribe."""


@pytest.fixture
async def stores(engines, unique):
    """Hearts beat too seldom to help."""
    async with opened_stores(settings_for(engines, unique, gateway={"heartbeat_s": 600})) as stores:
        yield stores


@pytest.fixture
def hub(stores, monkeypatch):
    """Looks at the heads when it must, not by the way."""
    monkeypatch.setattr(gateway.hub, "SETTLE_S", 600)
    return made_hub(stores)


def made_hub(stores) -> Hub:
    settings = stores.settings.gateway
    ring = Ring(stores.redis, stores.keys, stores.settings.ring)
    sync = Sync(ring, stores.timelines, stores.contents)
    presence = Presence(stores.redis, stores.keys, settings.presence_ttl_s)
    return Hub(presence, Signals(stores.redis, stores.keys), sync, settings)


async def hears(stores, hub) -> bool:
    """Whether Redis has the gateway as a subscriber."""
    ((_, listeners),) = await stores.redis.pubsub_numsub(stores.keys.gateway(hub.gateway_id))
    return listeners > 0


async def test_what_was_pushed_while_not_subscribed_is_looked_for(stores, hub):
    """I10: a signal may be lost with its connection, an entry not."""
    before = {row["id"] for row in await stores.redis.client_list(_type="pubsub")}
    async with running(hub), connected(stores) as (session, wire), joined(hub, session):
        await until(lambda: hears(stores, hub))
        session.start(0, 0)
        await arrive(stores, 1, 2)
        for row in await stores.redis.client_list(_type="pubsub"):
            if row["id"] not in before:
                await stores.redis.client_kill_filter(_id=row["id"])
        await until(lambda: wire.seqs == [1, 2])


async def test_nothing_of_a_hub_lives_on_in_whichever_moment_it_is_stopped(stores, monkeypatch):
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    before = asyncio.all_tasks()
    for ticks in range(TICKS):
        hub = made_hub(stores)
        hubs = asyncio.create_task(hub.run())
        for _ in range(ticks):
            await asyncio.sleep(0)
        hub.stop()
        await hubs
        assert asyncio.all_tasks() <= before


async def test_listener_that_fails_is_replaced(stores, hub):
    """I10: and what it did not hear is looked for."""
    async with running(hub), connected(stores) as (session, wire), joined(hub, session):
        await until(lambda: hears(stores, hub))
        session.start(0, 0)
        await stores.redis.publish(stores.keys.gateway(hub.gateway_id), b"no signal")
        await arrive(stores, 1, 2)
        await until(lambda: wire.seqs == [1, 2])
