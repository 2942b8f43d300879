"""What outlived a fail-over or a restart of Redis is not trusted: it may lack what came last (I4, I5)."""

from __future__ import annotations

import pytest

from api.sync import Sync
from domain.entries import Entry
from infra.local.redis import RedisServer
from infra.mongo.timelines import Line
from infra.redis.client import Client, open_redis
from infra.redis.ring import Ring
from infra.redis.sequence import Numbers, Sequence
from infra.settings import RingSettings
from tests.builders import (
    Stores,
    entries,
    generation_of,
    keys_of,
    opened_redis,
    opened_stores,
    settings_for,
    stored,
    until,
)
from tests.clusters import redis_pair

OLD = b"\x00old"


@pytest.fixture
def ring(client, keys):
    return Ring(client, keys, RingSettings(capacity=5))


@pytest.fixture
def sequence(client, keys):
    return Sequence(client, keys)


@pytest.fixture
def grow_old(client, keys):
    """Makes the ring or the claim of Ann what it would be had another Redis written it."""

    async def grow_old() -> None:
        now = await generation_of(client)
        for key in (keys.ring("ann"), keys.filling("ann")):
            for index, element in enumerate(await client.lrange(key, 0, -1)):
                await client.lset(key, index, element.replace(now, OLD, 1))

    return grow_old


async def make(ring: Ring, first: int, last: int) -> None:
    token = await ring.begin_fill("ann")
    assert await ring.fill("ann", token, first - 1, entries(first, last))


@pytest.fixture
def settled(client, keys):
    """As when the time has passed for which there is to be no ring."""

    async def settled() -> None:
        assert 0 < await client.pttl(keys.filling("ann")) <= 5_000
        assert await client.lindex(keys.filling("ann"), 0) == await generation_of(client)
        await client.delete(keys.filling("ann"))

    return settled


@pytest.mark.parametrize("last", [0, 3, 9])
async def test_ring_of_another_generation_is_not_read(ring, client, keys, grow_old, last):
    await make(ring, 1, last)
    await grow_old()
    assert await ring.read("ann", 0, 10) is None
    assert await client.exists(keys.ring("ann")) == 0


async def test_ring_of_another_generation_is_not_written(ring, client, keys, grow_old):
    await make(ring, 1, 3)
    await grow_old()
    await ring.append([("ann", entries(4, 5))])
    assert await client.exists(keys.ring("ann")) == 0


async def by_reading(ring: Ring) -> None:
    await ring.read("ann", 0, 10)


async def by_writing(ring: Ring) -> None:
    await ring.append([("ann", entries(4, 4))])


async def by_rebuilding(ring: Ring) -> None:
    assert await ring.begin_fill("ann") is None


@pytest.mark.parametrize("meet", [by_reading, by_writing, by_rebuilding])
async def test_ring_is_rebuilt_when_every_writer_knows_the_new_primary(ring, grow_old, settled, meet):
    """Before that an entry may still go into a ring of the old one, and be missing here."""
    await make(ring, 1, 3)
    await grow_old()
    await meet(ring)
    assert await ring.begin_fill("ann") is None
    await ring.append([("ann", entries(5, 5))])
    assert await ring.read("ann", 0, 10) is None
    await settled()
    await make(ring, 1, 6)
    assert (await ring.read("ann", 5, 10)).entries == entries(6, 6)


async def test_claim_of_another_generation_makes_no_ring(ring, grow_old):
    """What was appended since may have been lost with the other Redis."""
    token = await ring.begin_fill("ann")
    await grow_old()
    assert not await ring.fill("ann", token, 0, entries(1, 3))
    assert await ring.read("ann", 0, 10) is None


async def test_claim_of_another_generation_keeps_nobody_from_rebuilding(ring, grow_old, settled):
    await ring.begin_fill("ann")
    await ring.append([("ann", entries(9, 9))])
    await grow_old()
    assert await ring.begin_fill("ann") is None
    await settled()
    token = await ring.begin_fill("ann")
    await ring.append([("ann", entries(4, 4))])
    assert await ring.fill("ann", token, 0, entries(1, 3))
    assert await ring.read("ann", 0, 10) == (1, 4, entries(1, 4))


async def test_counter_of_another_generation_is_not_known(sequence, client, keys):
    """Its version may be older than the member list that was answered."""
    await sequence.restore("g:x", 7, 3)
    await client.hset(keys.counter("g:x"), "g", OLD)
    assert await sequence.take([("g:x", 1)]) == [None]
    assert await sequence.restore("g:x", 5, 4) == 7
    assert await sequence.take([("g:x", 1)]) == [Numbers(8, 4)]
    assert await sequence.take([("g:x", 0)]) == [Numbers(9, 4)]


CONVERSATION = "d:ann:bob"


async def arrive(stores: Stores, ring: Ring, first: int, last: int) -> None:
    """As inbox does it: into the timeline of Ann, then into her ring if she has one."""
    messages = [stored(CONVERSATION, seq) for seq in range(first, last + 1)]
    await stores.messages.insert(messages)
    await stores.timelines.append([Line("ann", m.seq, CONVERSATION, m.seq) for m in messages])
    await ring.append([("ann", [Entry(m.seq, m.message) for m in messages])])


async def seqs(client: Client, key: str) -> list[int]:
    return [int.from_bytes(element[:8]) for element in await client.lrange(key, 0, -1)]


async def test_pull_is_exact_at_once_after_a_fail_over_that_lost_entries(engines, unique):
    """The promoted replica has a ring without the newest entries, and a counter of an older version."""
    async with redis_pair() as pair:
        settings = settings_for(engines, unique, redis={"url": pair.primary.server.url})
        async with opened_stores(settings) as stores:
            ring = Ring(stores.redis, stores.keys, settings.ring)
            sync = Sync(ring, stores.timelines, stores.contents)
            await arrive(stores, ring, 1, 3)
            assert (await sync.pull("ann", 0, 10)).head == 3
            await stores.sequence.restore(CONVERSATION, 3, 1)
            await pair.follow()
            await pair.cut()
            await arrive(stores, ring, 4, 5)
            await stores.sequence.restore(CONVERSATION, 5, 2)
            before = await sync.pull("ann", 0, 10)
            await pair.promote()
            after = settings_for(engines, unique, redis={"url": pair.replica.server.url})
            async with opened_redis(after) as client:
                assert await seqs(client, stores.keys.ring("ann")) == [0, 1, 2, 3]
                sync = Sync(Ring(client, stores.keys, after.ring), stores.timelines, stores.contents)
                assert await sync.head("ann") == 5
                assert await sync.pull("ann", 0, 10) == before
                assert await Sequence(client, stores.keys).take([(CONVERSATION, 1)]) == [None]


async def test_entry_put_into_a_ring_of_the_old_primary_is_pulled_from_the_new(engines, unique):
    """A worker learns of the switch a moment after a reader did."""
    async with redis_pair() as pair:
        settings = settings_for(engines, unique, redis={"url": pair.primary.server.url})
        after = settings_for(engines, unique, redis={"url": pair.replica.server.url})
        async with opened_stores(settings) as stores, opened_redis(after) as client:
            late = Ring(stores.redis, stores.keys, settings.ring)
            await arrive(stores, late, 1, 3)
            assert (await Sync(late, stores.timelines, stores.contents).pull("ann", 0, 9)).head == 3
            await pair.follow()
            await pair.promote()
            sync = Sync(Ring(client, stores.keys, after.ring), stores.timelines, stores.contents)
            assert await sync.head("ann") == 3
            await arrive(stores, late, 4, 4)
            assert await seqs(stores.redis, stores.keys.ring("ann")) == [0, 1, 2, 3, 4]
            assert await sync.head("ann") == 4
            assert [entry.seq for entry in (await sync.pull("ann", 0, 9)).entries] == [1, 2, 3, 4]


async def test_ring_that_a_restarted_redis_kept_on_disk_is_not_trusted(engines, unique, tmp_path):
    """The disk may lack the last second."""
    server = PersistentRedis(tmp_path, print)
    await server.start()
    try:
        settings = settings_for(engines, unique, redis={"url": server.url})
        async with open_redis(settings.redis) as client:
            keys = keys_of(settings)
            ring = Ring(client, keys, settings.ring)
            await make(ring, 1, 3)
            await server.restart()
            assert await seqs(client, keys.ring("ann")) == [0, 1, 2, 3]
            assert await ring.read("ann", 0, 10) is None
    finally:
        await server.stop()


async def test_user_without_a_ring_gets_none_until_every_writer_knows_the_new_primary(
    engines, unique, tmp_path, monkeypatch
):
    """Nothing of the user is in Redis that could tell of the earlier primary."""
    monkeypatch.setattr("infra.redis.ring.SETTLE_S", 1.0)
    server = RedisServer(tmp_path, print)
    await server.start()
    try:
        settings = settings_for(engines, unique, redis={"url": server.url})
        async with open_redis(settings.redis) as client:
            ring = Ring(client, keys_of(settings), settings.ring)
            await make(ring, 1, 3)
            await server.restart()
            assert await ring.begin_fill("bob") is None
            assert await client.exists(keys_of(settings).filling("bob")) == 0
            assert await ring.begin_fill("cem") is None
            await until(lambda: ring.begin_fill("bob"))
    finally:
        await server.stop()


class PersistentRedis(RedisServer):
    def settings(self) -> dict[str, str]:
        return super().settings() | {"appendonly": "yes", "appendfsync": "always"}
