"""Redis behind Sentinel: what is killed, paused or demoted is left for the new primary within seconds."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import Unavailable
from infra import tasks
from infra.redis.client import open_redis
from infra.redis.keys import Keys
from infra.redis.ring import Ring
from infra.redis.sentinel import SentinelUrl, parse_url
from infra.redis.signals import Pushed, Signals
from infra.settings import RingSettings, SettingsError
from infra.tasks import ended
from tests.builders import entries, settings_for, until
from tests.clusters import Member, RedisSet, redis_of, redis_set

CALLS = 100
TICKS = 40
"""More turns of the event loop than it takes to ask a Sentinel."""
ONE = Pushed([("ann", 1)], b"{}")


def test_url_names_sentinels_and_service():
    assert parse_url("redis+sentinel://a:1,b:2/mymaster") == SentinelUrl(
        [("a", 1), ("b", 2)], "mymaster", 0, None, None
    )
    assert parse_url("redis+sentinel://me:p%40ss@a,[::1]:7/name/3") == SentinelUrl(
        [("a", 26379), ("::1", 7)], "name", 3, "me", "p@ss"
    )
    assert parse_url("redis+sentinel://:secret@a/name").password == "secret"
    assert parse_url("redis+sentinel://a/name/?#").name == "name"


@pytest.mark.parametrize("rest", ["", "a:1", "a:1/", "/name", "a:x/name", ":1/name", "a/name/x", "a,,b/name"])
async def test_url_of_another_form_is_named_as_a_setting(engines, unique, rest):
    with pytest.raises(SettingsError, match="RINGPOST_REDIS_URL"):
        settings_for(engines, unique, redis={"url": f"redis+sentinel://{rest}"})


async def test_sentinels_that_are_not_there_are_unavailable(engines, unique):
    url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster"
    settings = settings_for(engines, unique, redis={"url": url, "timeout_s": 0.5})
    async with open_redis(settings.redis) as client:
        with pytest.raises(Unavailable):
            await Ring(client, Keys("x:"), settings.ring).read("ann", 0, 1)


async def test_what_follows_the_primary_ends_with_its_client(engines, unique, monkeypatch):
    """In whichever moment: that it is cancelled is lost in some (see `ended`)."""
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    async with redis_set() as cluster:
        settings = settings_for(engines, unique, redis={"url": cluster.url, "timeout_s": 1})
        before = asyncio.all_tasks()
        for ticks in range(TICKS):
            async with open_redis(settings.redis):
                for _ in range(ticks):
                    await asyncio.sleep(0)
            assert asyncio.all_tasks() <= before


async def test_sentinel_that_was_slow_once_is_asked_again(engines, unique):
    """I7: it may be the last that there is. Many calls wait while it is slow."""
    async with redis_set() as cluster:
        slow, *others = cluster.sentinels
        settings = settings_for(engines, unique, redis={"url": cluster.url, "timeout_s": 1})
        async with open_redis(settings.redis) as client:
            ring = Ring(client, Keys("x:"), settings.ring)
            slow.pause()
            await asyncio.gather(*(ring.read("ann", 0, 9) for _ in range(CALLS)))
            slow.go_on()
            await asyncio.gather(*(other.kill() for other in others))
            client.link.reconnect()
            assert await ring.read("ann", 0, 9) is None


async def kill(cluster: RedisSet, old: Member) -> None:
    await old.kill()
    await cluster.moved(old)


async def pause(cluster: RedisSet, old: Member) -> None:
    """It wakes up when another is the primary, and does not know that yet."""
    old.pause()
    await cluster.moved(old)


async def demote(cluster: RedisSet, old: Member) -> None:
    async with redis_of(cluster.sentinels[0]) as client:
        await client.execute_command("SENTINEL", "FAILOVER", "mymaster")
    await cluster.moved(old)


@pytest.mark.parametrize("fail", [kill, pause, demote])
async def test_commands_and_listeners_follow_the_primary(engines, unique, fail):
    async with redis_set() as cluster:
        settings = settings_for(engines, unique, redis={"url": cluster.url, "timeout_s": 1})
        old = await cluster.primary()
        async with open_redis(settings.redis) as client:
            ring = Ring(client, Keys("x:"), RingSettings())
            assert await ring.fill("ann", await ring.begin_fill("ann"), 0, entries(1, 3))
            signals, heard = Signals(client, Keys("x:")), []
            subscriptions = []

            async def subscribed() -> None:
                subscriptions.append(await cluster.primary())

            listening = asyncio.create_task(signals.listen("g1", heard.extend, subscribed))
            await until(lambda: subscriptions)
            await asyncio.gather(*(ring.read("ann", 0, 9) for _ in range(CALLS)))
            await fail(cluster, old)
            new = await cluster.primary()

            async def made_anew() -> bool:
                try:
                    token = await ring.begin_fill("ann")
                    return token is not None and await ring.fill("ann", token, 0, entries(1, 5))
                except Unavailable:
                    return False

            await until(made_anew)
            await until(lambda: new in subscriptions)
            if fail is pause:
                old.go_on()
            reads = await asyncio.gather(*(ring.read("ann", 0, 9) for _ in range(CALLS)))
            assert {held.head for held in reads} == {5}
            async with redis_of(new) as direct:
                assert await direct.pubsub_numsub("x:gateway:g1") == [(b"x:gateway:g1", 1)]
            assert await signals.send({"g1": [ONE]}) == 1
            await until(lambda: heard == [ONE])
            await ended([listening])
