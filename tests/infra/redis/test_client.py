from __future__ import annotations

import socket

import pytest

from domain.errors import Internal, Unavailable
from infra.redis.client import open_redis, ping
from infra.redis.keys import Keys
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.sequence import Sequence
from infra.redis.signals import Pushed, Signals
from infra.settings import RingSettings, SettingsError
from tests.builders import entries, settings_for
from tests.clusters import redis_of, redis_pair


async def test_server_says_its_version(client):
    assert (await ping(client)).split(".")[0].isdigit()


async def test_redis_that_is_not_there_is_unavailable(engines, unique):
    """I7: whoever needs it is told at once, in our words."""
    with socket.socket() as bound:  # bound, never listening
        bound.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{bound.getsockname()[1]}/0"
        settings = settings_for(engines, unique, redis={"url": url, "timeout_s": 0.2})
        async with open_redis(settings.redis) as client:
            keys = Keys("x:")
            ring = Ring(client, keys, settings.ring)
            for verb in (
                ring.append([("ann", entries(1, 1))]),
                ring.read("ann", 0, 1),
                ring.drop(["ann"]),
                Sequence(client, keys).take([("g:x", 1)]),
                Presence(client, keys, 1).places(["ann"]),
                Signals(client, keys).send({"g1": [Pushed([], b"")]}),
                ping(client),
            ):
                with pytest.raises(Unavailable):
                    await verb


@pytest.mark.parametrize("value, cursor", [("not a list", 0), (None, "not a number")])
async def test_script_that_fails_is_a_fault_of_ours(client, keys, value, cursor):
    ring = Ring(client, keys, RingSettings())
    await ring.fill("ann", await ring.begin_fill("ann"), 0, entries(1, 1))
    if value:
        await client.set(keys.ring("ann"), value)
    with pytest.raises(Internal):
        await client.call("read", [keys.ring("ann"), keys.filling("ann")], (cursor, 1, 1))


async def test_demoted_primary_is_unavailable_and_a_new_one_is_used_at_once(engines, unique):
    """A fail-over is a transient fault: what it refuses is no poison (I9)."""
    async with redis_pair() as pair:
        settings = settings_for(engines, unique, redis={"url": pair.replica.server.url})
        async with open_redis(settings.redis) as client:
            ring = Ring(client, Keys("x:"), settings.ring)
            (before,) = await client.run([("CLIENT", "ID")])
            with pytest.raises(Unavailable):
                await ring.begin_fill("ann")
            (after,) = await client.run([("CLIENT", "ID")])
            assert after != before, "the connection to what was the primary is left"
            await pair.promote()
            assert await ring.begin_fill("ann")


@pytest.mark.parametrize("setting, value", [("maxmemory", "1"), ("min-replicas-to-write", "2")])
async def test_redis_that_takes_no_writes_now_is_unavailable(engines, unique, setting, value):
    async with redis_pair() as pair, redis_of(pair.primary) as admin:
        await admin.config_set(setting, value)
        settings = settings_for(engines, unique, redis={"url": pair.primary.server.url})
        async with open_redis(settings.redis) as client:
            with pytest.raises(Unavailable):
                await Ring(client, Keys("x:"), settings.ring).begin_fill("ann")


async def test_more_calls_than_one_round_trip_keep_their_order(client, keys):
    sequence = Sequence(client, keys)
    await sequence.restore("g:x", 0, 0)
    taken = await sequence.take([("g:x", 1)] * 2500)
    assert [numbers.first for numbers in taken] == list(range(1, 2501))


async def test_bad_url_is_named_as_a_setting(engines, unique):
    with pytest.raises(SettingsError, match="RINGPOST_REDIS_URL"):
        settings_for(engines, unique, redis={"url": "http://x"})


def test_every_script_touches_keys_of_one_slot():
    """All keys of one user, and of one conversation, carry one hash tag: Redis Cluster needs it."""
    keys = Keys("rp:")
    assert {
        key[key.index("{") : key.index("}") + 1]
        for key in (keys.ring("a"), keys.filling("a"), keys.online("a"))
    } == {"{u:a}"}
    assert "{c:g:x}" in keys.counter("g:x")
