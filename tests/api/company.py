"""Gateways in one process, with all that attends to their hubs, on real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from api.gateway.frames import Say
from api.gateway.hub import Hub
from api.gateway.last_seen import LastSeen
from api.gateway.session import Session
from api.gateway.signalling import Signalling
from api.gateway.watches import Watches
from api.sight import Sight
from api.sync import Sync
from infra.redis.client import Client
from infra.redis.pacing import Pacing
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from tests.api.wire import Wire, connected, joined
from tests.builders import Town, running, until
from tests.patience import FAR_OFF_S


@dataclass(frozen=True)
class Company:
    """One gateway."""

    town: Town
    hub: Hub
    signals: Signals
    signalling: Signalling
    watches: Watches
    last_seen: LastSeen

    @asynccontextmanager
    async def online(self, user: str) -> AsyncIterator[tuple[Session, Wire]]:
        """A session of the user at this gateway, welcome."""
        async with connected(self.town.stores, user) as (session, wire), joined(self.hub, session):
            session.start(0, 0)
            yield session, wire

    async def hears(self) -> bool:
        """Whether Redis has the gateway as a listener for news."""
        channel = self.town.stores.keys.gateway_news(self.hub.gateway_id)
        ((_, listeners),) = await self.town.stores.redis.pubsub_numsub(channel)
        return bool(listeners > 0)


def company(town: Town, redis: Client | None = None) -> Company:
    """A gateway at which a user signals once in a test."""
    stores = town.stores
    settings, redis = stores.settings, redis or stores.redis
    presence = Presence(redis, stores.keys, settings.gateway.presence_ttl_s)
    signals = Signals(redis, stores.keys)
    sync = Sync(Ring(redis, stores.keys, settings.ring), stores.timelines, stores.contents)
    hub = Hub(presence, signals, sync, settings.gateway)
    last_seen = LastSeen(stores.accounts)
    sight = Sight(presence, stores.accounts, stores.conversations)
    watches = Watches(hub, presence, signals, sight, last_seen)
    pacing = Pacing(redis, stores.keys, FAR_OFF_S)
    signalling = Signalling(hub, presence, signals, pacing, town.path.membership)
    for attendant in (signalling, watches, last_seen):
        hub.attend(attendant)
    return Company(town, hub, signals, signalling, watches, last_seen)


@asynccontextmanager
async def at_work(*companies: Company) -> AsyncIterator[None]:
    """All of them run and hear each other."""
    async with AsyncExitStack() as stack:
        for one in companies:
            await stack.enter_async_context(running(one.hub, one.watches, one.last_seen))
        for one in companies:
            await until(one.hears)
        yield


def say(conversation: Any, signal: str = "typing") -> Say:
    return Say(conversation, signal)
