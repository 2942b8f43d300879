from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from infra.redis.client import open_redis
from infra.redis.signals import Chose, Pushed, Replaced, Said, Signals, Turned
from infra.tasks import ended
from tests.builders import keys_of, settings_for, until
from tests.clusters import redis_of, redis_pair

ONE = Pushed([("ann", 1), ("bob", 7)], b'{"a":1}')


@pytest.fixture
def signals(client, keys):
    return Signals(client, keys)


class Ear:
    """What a gateway heard, and how often it was (re)subscribed."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.news: list[object] = []
        self.subscribed = 0

    async def on_subscribed(self) -> None:
        self.subscribed += 1


@asynccontextmanager
async def listening(signals: Signals, gateway_id: str):
    ear = Ear()
    task = asyncio.create_task(
        signals.listen(gateway_id, ear.heard.extend, ear.on_subscribed, ear.news.extend)
    )
    await until(lambda: ear.subscribed)
    try:
        yield ear
    finally:
        await ended([task])


async def test_gateway_hears_its_own_signals_in_order(signals):
    sent = [ONE, Replaced("ann", "phone", "s1"), ONE]
    async with listening(signals, "g1") as one, listening(signals, "g2") as two:
        assert await signals.send({"g1": sent, "g2": [ONE], "nobody": [ONE]}) == 2
        await until(lambda: len(one.heard) == 3 and two.heard)
        assert (one.heard, two.heard) == (sent, [ONE])


async def test_gateway_hears_its_own_news_in_order_beside_its_signals(signals):
    told = [Said(["ann"], "s1", b"{}"), Turned([("ann", 7), ("bob", 8)]), Chose("ann")]
    async with listening(signals, "g1") as one, listening(signals, "g2") as two:
        await signals.tell({"g1": told, "g2": [Chose("bob")], "nobody": told})
        await signals.send({"g1": [ONE]})
        await until(lambda: one.heard and two.news)
        assert (one.news, one.heard) == (told, [ONE])
        assert (two.news, two.heard) == ([Chose("bob")], [])
        assert (one.subscribed, two.subscribed) == (1, 1)


async def test_news_of_a_kind_that_only_later_versions_know_is_left_out(signals, client, keys):
    async with listening(signals, "g1") as ear:
        later = msgspec.msgpack.encode([["z", 1], Chose("ann"), {"a": 1}, ["c"]])
        for record in (b"no news", later):
            await client.publish(keys.gateway_news("g1"), record)
        await signals.tell({"g1": [Chose("bob")]})
        await until(lambda: len(ear.news) == 2)
        assert ear.news == [Chose("ann"), Chose("bob")]


async def test_signal_without_a_listener_is_lost(signals):
    assert await signals.send({"g1": [ONE]}) == 0


async def test_cut_connection_is_made_again_and_told(signals, client):
    """What was sent in between is lost, so the gateway must look at the heads."""
    others = await _listeners(client)
    async with listening(signals, "g1") as ear:
        for listener in await _listeners(client) - others:
            await client.client_kill_filter(_id=listener)
        await until(lambda: ear.subscribed == 2)
        assert await signals.send({"g1": [ONE]}) == 1
        await until(lambda: ear.heard == [ONE])


async def test_silent_server_is_left_and_a_quiet_channel_is_not(engines, unique, monkeypatch):
    monkeypatch.setattr("infra.redis.signals.SILENT_S", 0.1)
    async with redis_pair() as pair, redis_of(pair.primary) as admin:
        settings = settings_for(engines, unique, redis={"url": pair.primary.server.url, "timeout_s": 0.2})
        async with (
            open_redis(settings.redis) as client,
            listening(Signals(client, keys_of(settings)), "g1") as ear,
        ):

            async def asked() -> bool:
                return (await admin.info("commandstats"))["cmdstat_ping"]["calls"] > 10

            await until(asked)
            assert ear.subscribed == 1
            pair.primary.pause()
            await until(lambda: not client.connection_pool._in_use_connections)  # noqa: SLF001 - redis-py's
            pair.primary.go_on()
            await until(lambda: ear.subscribed == 2)


async def _listeners(client) -> set[str]:
    return {row["id"] for row in await client.client_list(_type="pubsub")}
