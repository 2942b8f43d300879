"""The gateway's ear: what it misses while it does not hear."""

from __future__ import annotations

import pytest

from api.gateway.hub import Hub
from api.sync import Sync
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from tests.api.wire import arrive, connected
from tests.builders import opened_stores, running, settings_for, until


@pytest.fixture
async def stores(engines, unique):
    """Hearts beat too seldom to help."""
    async with opened_stores(settings_for(engines, unique, gateway={"heartbeat_s": 600})) as stores:
        yield stores


@pytest.fixture
def hub(stores):
    gateway = stores.settings.gateway
    ring = Ring(stores.redis, stores.keys, stores.settings.ring)
    sync = Sync(ring, stores.timelines, stores.messages)
    presence = Presence(stores.redis, stores.keys, gateway.presence_ttl_s)
    return Hub(presence, Signals(stores.redis, stores.keys), sync, gateway)


async def test_what_was_pushed_while_not_subscribed_is_looked_for(stores, hub):
    """I10: a signal may be lost with its connection, an entry not."""
    channel = stores.keys.gateway(hub.gateway_id)

    async def listeners() -> int:
        return (await stores.redis.pubsub_numsub(channel))[0][1]

    before = {row["id"] for row in await stores.redis.client_list(_type="pubsub")}
    async with running(hub), connected(stores) as (session, wire), hub.joined(session):
        await until(listeners)
        session.start(0, 0)
        await arrive(stores, 1, 2)
        for row in await stores.redis.client_list(_type="pubsub"):
            if row["id"] not in before:
                await stores.redis.client_kill_filter(_id=row["id"])
        await until(lambda: wire.seqs == [1, 2])
