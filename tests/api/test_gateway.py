"""A connection for which the stores do not answer, without a network between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from api.caller import Callers
from api.gateway import endpoint
from api.gateway.endpoint import Gateway
from api.gateway.frames import Close
from api.gateway.hub import Hub
from api.socket import SOCKET
from api.sync import Sync
from domain.devices import Device
from infra.keys import Keys
from infra.mongo.accounts import AccountStore
from infra.mongo.client import open_database
from infra.mongo.contents import Contents
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import TimelineStore
from infra.redis.client import open_redis
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Pushed, Signals
from infra.tasks import ended
from producers.delivered import Delivered
from tests.builders import BOB, keys_of, open_town, opened_stores, opened_without_kafka, settings_for, until
from tests.patience import FAR_OFF_S, PATIENCE_S

CALLERS = Callers(Keys("an admin key", "a token key that is long enough for its algorithm"), "HS256")
WAIT_S = 0.5
HELLO = '{"type":"hello"}'


class Socket:
    """The server's end of a device that says hello and then nothing; strict about what follows a close."""

    def __init__(self, device: str = "phone") -> None:
        token = CALLERS.mint(Device("ann", device), 60).token
        self.tasks: set[asyncio.Task[None]] = set()
        self.scope = {
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "extensions": {SOCKET: self},
        }
        self.frames: list[Any] = []
        self.codes: list[int] = []
        self._news = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": HELLO}])
        self._listener: Any = None

    async def receive(self) -> dict[str, Any]:
        return next(self._news)

    async def send(self, message: dict[str, Any]) -> None:
        assert message == {"type": "websocket.accept"}

    def take_over(self, listener: Any) -> None:
        self._listener = listener

    def say(self, **said: Any) -> None:
        self._listener.received(json.dumps(said).encode())

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def hold(self) -> None:
        return

    def release(self) -> None:
        return

    def write(self, frames: Sequence[bytes]) -> None:
        assert not self.codes, "sent behind the close"
        self.frames += map(json.loads, frames)

    def close(self, code: Close) -> None:
        assert not self.codes, "closed twice"
        self.codes.append(int(code))
        self._listener.ended()


def told_by(sender: Any, database: Any) -> tuple[AccountStore, Delivered]:
    accounts = AccountStore(database)
    return accounts, Delivered(sender, accounts, TimelineStore(database), MessageStore(database))


def connecting_to(gateway: Gateway, socket: Socket) -> Any:
    return gateway.connect(socket.scope, socket.receive, socket.send)


@pytest.fixture
async def hub_and_gateway(engines, unique):
    """On a MongoDB and a Redis that are not there."""
    away = settings_for(
        engines,
        unique,
        mongo={"url": "mongodb://127.0.0.1:1/?directConnection=true", "timeout_s": WAIT_S},
        redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.1},
    )
    keys = keys_of(away)
    async with open_database(away.mongo) as database, open_redis(away.redis) as redis:
        sync = Sync(Ring(redis, keys, away.ring), TimelineStore(database), Contents(MessageStore(database)))
        presence = Presence(redis, keys, away.gateway.presence_ttl_s)
        hub = Hub(presence, Signals(redis, keys), sync, away.gateway)
        yield hub, Gateway(CALLERS, hub, sync, None, *told_by(None, database), None, None)


async def test_device_that_cannot_be_welcomed_is_told_so_and_to_come_back(hub_and_gateway):
    socket = Socket()
    await asyncio.wait_for(connecting_to(hub_and_gateway[1], socket), PATIENCE_S)
    assert [frame["error"]["code"] for frame in socket.frames] == ["unavailable"]
    assert socket.codes == [Close.GOING_AWAY]


async def test_device_that_was_closed_before_it_could_be_welcomed_is_sent_nothing_more(hub_and_gateway):
    hub, gateway = hub_and_gateway
    socket = Socket()
    connecting = asyncio.create_task(connecting_to(gateway, socket))

    def closed() -> bool:
        hub.close_all()
        return bool(socket.codes)

    await until(closed)
    await asyncio.wait_for(connecting, PATIENCE_S)
    assert socket.codes == [Close.GOING_AWAY]


def gateway_on(stores, sender=None):
    """A gateway with its hub, and where it writes who is online."""
    settings = stores.settings
    sync = Sync(Ring(stores.redis, stores.keys, settings.ring), stores.timelines, stores.contents)
    presence = Presence(stores.redis, stores.keys, settings.gateway.presence_ttl_s)
    hub = Hub(presence, Signals(stores.redis, stores.keys), sync, settings.gateway)
    return presence, hub, Gateway(CALLERS, hub, sync, sender, *told_by(sender, stores.database), None, None)


async def test_connection_beyond_those_of_a_user_is_told_so_and_the_device_may_replace_its_own(
    engines, unique
):
    """I8."""
    settings = settings_for(engines, unique, gateway={"user_sockets": 1})
    async with opened_stores(settings) as stores:
        _, _, gateway = gateway_on(stores)
        first, second, third = Socket("phone"), Socket("web"), Socket("phone")
        for socket in (first, second, third):
            await asyncio.wait_for(connecting_to(gateway, socket), PATIENCE_S)
        assert [frame["type"] for frame in second.frames] == ["error"]
        assert second.frames[0]["error"]["code"] == "overloaded"
        assert (first.codes, second.codes, third.codes) == ([Close.REPLACED], [Close.GOING_AWAY], [])
        await until(lambda: [frame["type"] for frame in third.frames] == ["welcome"])
        third.close(Close.GOING_AWAY)


async def test_connection_that_replaces_the_only_one_of_its_user_is_pushed_to_and_leaves(engines, unique):
    settings = settings_for(engines, unique)
    async with opened_stores(settings) as stores:
        presence, hub, gateway = gateway_on(stores)
        older, newer = Socket("phone"), Socket("phone")
        for socket in (older, newer):
            await asyncio.wait_for(connecting_to(gateway, socket), PATIENCE_S)
        hub.on_signals([Pushed([("ann", 1)], b"{}")])
        await until(lambda: newer.types() == ["welcome", "entries"])
        assert (older.types(), older.codes) == (["welcome"], [Close.REPLACED])
        assert newer.frames[1]["entries"] == [{"seq": 1, "type": "message", "message": {}}]
        newer.close(Close.GOING_AWAY)

        async def nowhere() -> bool:
            return await presence.places(["ann"]) == [[]]

        await until(nowhere)


@pytest.mark.parametrize("pause_s", [0.01, FAR_OFF_S])
async def test_device_that_was_told_overloaded_is_heard_again_after_a_pause(
    engines, unique, monkeypatch, pause_s
):
    """I8. Others are heard meanwhile."""
    monkeypatch.setattr(endpoint, "OVERLOADED_PAUSE_S", pause_s)
    settings = settings_for(engines, unique)
    async with opened_without_kafka(settings) as clients:
        town = await open_town(clients)
        _, _, gateway = gateway_on(town.stores, town.path.sender)
        flooding, other = Socket("phone"), Socket("web")
        for socket in (flooding, other):
            await asyncio.wait_for(connecting_to(gateway, socket), PATIENCE_S)
        town.path.backlog.enter(1_000_000_000)
        send = {"type": "send", "client_message_id": "c", "to": BOB, "kind": "text", "body": {"text": "x"}}
        flooding.say(ref="1", **send)
        flooding.say(type="ping")
        await until(lambda: flooding.types()[:2] == ["welcome", "error"])
        other.say(type="ping")
        await until(lambda: other.types() == ["welcome", "pong"])
        if pause_s == FAR_OFF_S:
            assert flooding.types() == ["welcome", "error"]
        else:
            await until(lambda: flooding.types() == ["welcome", "error", "pong"])
        await ended(flooding.tasks)
        other.close(Close.GOING_AWAY)
        other.say(ref="2", **send)  # it came with what was read before the end
        await until(lambda: not any(not task.done() for task in other.tasks))
        flooding.close(Close.GOING_AWAY)
