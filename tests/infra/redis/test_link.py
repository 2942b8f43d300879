"""The one connection that all commands share, and what happens when it hangs, breaks or is refused."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from domain.errors import Unavailable
from infra.redis import link as link_of
from infra.redis.client import open_redis
from tests.builders import settings_for, until
from tests.clusters import redis_of, redis_pair
from tests.patience import PATIENCE_S

MANY = 1_000
"""More calls than could wait for the time-out one after the other within the patience of a test."""


@asynccontextmanager
async def paired(engines, unique: str):
    """A Redis of the test's own, and a client of it."""
    async with redis_pair() as pair:
        redis = {"url": pair.primary.server.url, "timeout_s": 1}
        async with open_redis(settings_for(engines, unique, redis=redis).redis) as client:
            yield pair.primary, client


async def answers(client) -> bool:
    try:
        return await client.run([("PING",)]) == [b"PONG"]
    except Unavailable:
        return False


async def test_every_caller_gets_the_replies_to_its_own_commands(client, unique):
    async def one(number: int) -> None:
        value = b"%d" % number * (number % 7 * 1000)
        assert await client.run([("ECHO", number), ("ECHO", value)]) == [b"%d" % number, value]

    await asyncio.gather(*(one(number) for number in range(MANY)))


async def test_error_reply_is_one_reply_among_others(client):
    first, error, last = await client.link.run([("ECHO", "a"), ("NO-SUCH-COMMAND",), ("ECHO", "b")])
    assert (first, last) == (b"a", b"b")
    assert isinstance(error, Exception)


async def test_caller_that_goes_away_takes_no_reply_of_another(client):
    gone = [asyncio.create_task(client.run([("ECHO", "gone")] * 3)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in gone[::2]:
        task.cancel()
    assert await client.run([("ECHO", "kept")]) == [b"kept"]
    assert [await task for task in gone[1::2]] == [[b"gone"] * 3] * 5


async def test_connection_that_the_server_closed_is_made_again_unnoticed(engines, unique):
    async with paired(engines, unique) as (primary, client), redis_of(primary) as admin:
        for _ in range(3):
            (mine,) = await client.run([("CLIENT", "ID")])
            await admin.client_kill_filter(_id=str(mine))
            replies = await asyncio.gather(*(client.run([("ECHO", n)]) for n in range(10)))
            assert replies == [[b"%d" % n] for n in range(10)]


@pytest.mark.parametrize("fault", ["paused", "killed"])
async def test_nobody_waits_for_a_redis_that_is_known_not_to_answer(engines, unique, fault):
    """One time-out for all callers that wait already, none for those that come later; and all of it is over
    when Redis is back.
    """
    async with paired(engines, unique) as (primary, client):
        assert await answers(client)
        primary.pause() if fault == "paused" else await primary.kill()
        async with asyncio.timeout(PATIENCE_S):
            assert not any(await asyncio.gather(*(answers(client) for _ in range(MANY))))
            for _ in range(MANY):
                assert not await answers(client)
        primary.go_on() if fault == "paused" else await primary.restart()
        await until(lambda: answers(client))
        assert all(await asyncio.gather(*(answers(client) for _ in range(MANY))))


async def test_commands_that_wait_for_redis_have_a_bound(engines, unique, monkeypatch):
    monkeypatch.setattr(link_of, "OPEN_BYTES", 10_000)
    async with paired(engines, unique) as (primary, client):
        assert await answers(client)
        primary.pause()
        waiting = [asyncio.create_task(client.run([("ECHO", b"x" * 6_000)])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="Too many"):
            await client.run([("PING",)])
        primary.go_on()
        assert [len(await task) for task in waiting] == [1, 1]
        assert await answers(client)


async def test_wrong_password_is_said_to_everybody(engines, unique):
    url = engines.redis_url.replace("://", "://nobody:hush@")
    settings = settings_for(engines, unique, redis={"url": url})
    async with open_redis(settings.redis) as client:
        for _ in range(3):
            with pytest.raises(Unavailable, match="refuses the user or the password") as refused:
                await client.run([("PING",)])
            assert "hush" not in str(refused.value)


async def test_process_that_stood_still_while_it_connected_does_not_blame_redis(engines, unique):
    redis = {"url": engines.redis_url, "timeout_s": 0.5}
    async with open_redis(settings_for(engines, unique, redis=redis).redis) as client:
        calling = asyncio.create_task(client.run([("PING",)]))
        for _ in range(20):  # at each step of the connection
            await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251  the machine has no time for us
        assert await calling == [b"PONG"]
