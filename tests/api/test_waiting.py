"""A pull that waits, at the moments at which something may arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from api.gateway.hub import Hub
from api.routes.inbox import Inbox
from api.sync import Sync
from api.views import SyncQuery
from domain.devices import Device
from domain.entries import Entry
from domain.errors import Overloaded
from infra.mongo.timelines import Line
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Pushed, Signals
from producers.delivered import Delivered
from tests.builders import opened_stores, settings_for, stored, until
from tests.patience import FAR_OFF_S, PATIENCE_S

ANN = Device("ann", "phone")


class Looked(Ring):
    """The real ring, which counts how often it was looked into, and lets something happen after a look."""

    looks = 0
    then: Callable[[], Awaitable[None]] | None = None

    async def read(self, user, cursor, limit):
        held = await super().read(user, cursor, limit)
        self.looks += 1
        if self.then is not None and self.looks == 3:
            await self.then()
        return held


class Gateway:
    """A hub, and the route that waits at it."""

    def __init__(self, stores) -> None:
        self._stores = stores
        self.ring = Looked(stores.redis, stores.keys, stores.settings.ring)
        sync = Sync(self.ring, stores.timelines, stores.contents)
        gateway = stores.settings.gateway
        presence = Presence(stores.redis, stores.keys, gateway.presence_ttl_s)
        self._hub = Hub(presence, Signals(stores.redis, stores.keys), sync, gateway)
        told = Delivered(None, stores.accounts, stores.timelines, stores.messages)  # type: ignore[arg-type]
        self._route = Inbox(sync, self._hub, stores.accounts, told)

    async def pull(self) -> list[int]:
        """Looks once (twice into the ring, which is not there yet), then again, then waits."""
        answer = await self._route.pull(ANN, SyncQuery(cursor=0, wait_s=60))
        return [entry["seq"] for entry in json.loads(answer.value)["entries"]]

    async def arrive(self) -> None:
        message = stored("d:ann:bob", 1)
        await self._stores.messages.insert([message])
        await self._stores.timelines.append([Line("ann", 1, "d:ann:bob", 1)])
        await self.ring.append([("ann", [Entry(1, message.message)])])
        self._hub.on_signals([Pushed([("ann", 1)], message.message)])


@pytest.fixture
async def gateway(engines, unique):
    """It looks by itself too seldom to help, and lets two polls of a user wait."""
    settings = settings_for(engines, unique, gateway={"heartbeat_s": FAR_OFF_S, "user_polls": 2})
    async with opened_stores(settings) as stores:
        yield Gateway(stores)


async def test_waiting_pull_wakes_when_something_arrives(gateway):
    async with asyncio.timeout(PATIENCE_S):
        waiting = asyncio.create_task(gateway.pull())
        await until(lambda: gateway.ring.looks == 3)
        await gateway.arrive()
        assert await waiting == [1]


async def test_poll_beyond_those_that_may_wait_is_refused(gateway):
    """I8: and there is room again once one has ended."""
    async with asyncio.timeout(PATIENCE_S):
        waiting = [asyncio.create_task(gateway.pull()) for _ in range(2)]
        await until(lambda: gateway.ring.looks >= 5)
        with pytest.raises(Overloaded):
            await gateway.pull()
        await gateway.arrive()
        assert await asyncio.gather(*waiting) == [[1], [1]]
        assert await gateway.pull() == [1]


async def test_waiting_pull_does_not_miss_what_arrives_while_it_looks(gateway):
    """After the ring was read, and before the wait for news begins."""
    gateway.ring.then = gateway.arrive
    async with asyncio.timeout(PATIENCE_S):
        assert await gateway.pull() == [1]
