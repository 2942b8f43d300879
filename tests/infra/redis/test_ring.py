"""I4: a ring holds the newest entries of its timeline without a hole, or it does not exist."""

from __future__ import annotations

import asyncio

import pytest

from infra.redis.ring import Ring
from infra.settings import RingSettings
from tests.builders import entries, until


@pytest.fixture
def ring_of(client, keys):
    """Rings over the same keys, with this capacity."""
    return lambda capacity, ttl_s=600: Ring(client, keys, RingSettings(capacity=capacity, idle_ttl_s=ttl_s))


@pytest.fixture
def ring(ring_of):
    return ring_of(5)


async def make(ring: Ring, first: int, last: int, user: str = "ann") -> None:
    """As a reader does: a ring of the entries first … last."""
    token = await ring.begin_fill(user)
    assert token is not None
    assert await ring.fill(user, token, first - 1, entries(first, last))


async def append(ring: Ring, first: int, last: int, user: str = "ann") -> None:
    await ring.append([(user, entries(first, last))])


async def numbers(ring: Ring, cursor: int = 0, limit: int = 1000) -> list[int] | None:
    held = await ring.read("ann", cursor, limit)
    return None if held is None else [entry.seq for entry in held.entries]


async def test_user_without_a_ring_gets_none_by_writing(ring):
    await append(ring, 1, 3)
    assert await ring.read("ann", 0, 10) is None


async def test_appended_entries_are_read_with_their_bytes(ring):
    await make(ring, 1, 2)
    await append(ring, 3, 4)
    assert await ring.read("ann", 0, 10) == (1, 4, entries(1, 4))


@pytest.mark.parametrize("capacity", [1, 2, 200])
async def test_full_ring_drops_its_oldest_entry(ring_of, capacity):
    ring = ring_of(capacity)
    await make(ring, 1, 0)
    for seq in range(1, capacity + 3):
        await append(ring, seq, seq)
        held = await ring.read("ann", max(0, seq - capacity), 1000)
        assert held.entries == entries(max(1, seq - capacity + 1), seq)
        assert held.oldest == max(1, seq - capacity + 1)


@pytest.mark.parametrize("capacity", [1, 2, 200])
async def test_ring_never_holds_more_than_its_capacity(ring_of, client, keys, capacity):
    ring = ring_of(capacity)
    await make(ring, 1, 300)
    assert await client.llen(keys.ring("ann")) == capacity
    await append(ring, 301, 700)
    assert await client.llen(keys.ring("ann")) == capacity
    assert (await ring.read("ann", 0, 1)).head == 700


async def test_entries_the_ring_has_are_ignored(ring, client, keys):
    """I6: the log replayed leaves the ring byte for byte as it was."""
    await make(ring, 1, 2)
    await append(ring, 3, 6)
    before = await client.lrange(keys.ring("ann"), 0, -1)
    for first, last in ((1, 3), (4, 6), (2, 2), (1, 6)):
        await append(ring, first, last)
        assert await client.lrange(keys.ring("ann"), 0, -1) == before


async def test_entries_partly_known_are_taken_from_where_they_are_new(ring):
    await make(ring, 1, 3)
    await append(ring, 2, 5)
    assert (await ring.read("ann", 0, 10)).entries == entries(1, 5)


async def test_ring_that_would_get_a_hole_is_removed(ring, client, keys):
    await make(ring, 1, 3)
    await append(ring, 5, 6)
    assert await ring.read("ann", 0, 10) is None
    assert await client.exists(keys.ring("ann"), keys.filling("ann")) == 0


async def test_capacity_can_be_lowered(ring_of):
    await make(ring_of(10), 1, 10)
    lowered = ring_of(3)
    assert await numbers(lowered) == list(range(1, 11))
    await append(lowered, 11, 11)
    assert await lowered.read("ann", 8, 10) == (9, 11, entries(9, 11))


async def test_capacity_can_be_raised(ring_of):
    await make(ring_of(2), 1, 4)
    raised = ring_of(4)
    await append(raised, 5, 6)
    assert await raised.read("ann", 0, 100) == (3, 6, entries(3, 6))
    await append(raised, 7, 7)
    assert (await raised.read("ann", 0, 100)).oldest == 4


@pytest.mark.parametrize("capacity", [1, 2, 200])
async def test_empty_ring_knows_where_it_stands(ring_of, capacity):
    ring = ring_of(capacity)
    await make(ring, 42, 41)
    assert await ring.read("ann", 41, 10) == (42, 41, [])
    assert await ring.read("ann", 0, 10) == (42, 41, [])
    await append(ring, 42, 42)
    assert await ring.read("ann", 41, 10) == (42, 42, entries(42, 42))


async def test_marker_of_an_empty_ring_is_never_an_entry(ring):
    await make(ring, 1, 0)
    await append(ring, 1, 3)
    held = await ring.read("ann", 0, 10)
    assert (held.oldest, held.entries) == (1, entries(1, 3))


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("cursor", range(9))
@pytest.mark.parametrize("limit", [0, 1, 2, 3, 9])
async def test_read_gives_what_it_holds_of_the_window(ring_of, marked, cursor, limit):
    """The `limit` numbers behind the cursor, as far as they lie in 4 … 7."""
    ring = ring_of(9 if marked else 4)
    await make(ring, 4, 7)
    held = await ring.read("ann", cursor, limit)
    assert (held.oldest, held.head) == (4, 7)
    assert [e.seq for e in held.entries] == [s for s in range(cursor + 1, cursor + limit + 1) if 4 <= s <= 7]


async def test_read_far_beyond_the_head_gives_nothing(ring):
    await make(ring, 1, 3)
    assert await ring.read("ann", 2**53 - 1, 0) == (1, 3, [])


async def test_one_reader_rebuilds_at_a_time(ring):
    tokens = await asyncio.gather(*(ring.begin_fill("ann") for _ in range(10)))
    assert len([token for token in tokens if token]) == 1


async def test_ring_that_is_there_is_not_rebuilt(ring):
    await make(ring, 1, 3)
    assert await ring.begin_fill("ann") is None


async def test_entries_that_arrive_during_the_rebuilding_are_in(ring):
    token = await ring.begin_fill("ann")
    await append(ring, 3, 4)
    await append(ring, 5, 5)
    assert await ring.fill("ann", token, 0, entries(1, 3))
    assert await ring.read("ann", 0, 10) == (1, 5, entries(1, 5))


async def test_rebuilding_into_a_hole_leaves_no_ring(ring):
    token = await ring.begin_fill("ann")
    await append(ring, 5, 5)
    assert not await ring.fill("ann", token, 0, entries(1, 3))
    assert await ring.read("ann", 0, 10) is None
    await make(ring, 1, 5)


async def test_claim_that_was_lost_makes_no_ring(ring, client, keys):
    token = await ring.begin_fill("ann")
    await client.delete(keys.filling("ann"))
    assert not await ring.fill("ann", token, 0, entries(1, 3))
    assert await ring.read("ann", 0, 10) is None


async def test_claim_of_another_is_not_used(ring, client, keys):
    lost = await ring.begin_fill("ann")
    await client.delete(keys.filling("ann"))
    token = await ring.begin_fill("ann")
    assert not await ring.fill("ann", lost, 0, entries(1, 1))
    assert await ring.fill("ann", token, 0, entries(1, 2))


async def test_claim_ends_by_itself(ring, client, keys):
    await ring.begin_fill("ann")
    assert 0 < await client.pttl(keys.filling("ann")) <= 10_000
    await append(ring, 1, 1)
    assert await client.pttl(keys.filling("ann")) > 0


async def test_lost_ring_is_not_made_by_a_late_writer(ring, client, keys):
    """Emptied Redis: only a reader, who looks into the timeline, makes a ring anew."""
    await make(ring, 1, 5)
    await client.delete(keys.ring("ann"))
    await append(ring, 6, 6)
    assert await ring.read("ann", 0, 10) is None


async def test_dropped_ring_and_claim_are_gone(ring, client, keys):
    await make(ring, 1, 3)
    token = await ring.begin_fill("bob")
    await ring.drop(["ann", "bob", "cem"])
    assert await ring.read("ann", 0, 10) is None
    assert not await ring.fill("bob", token, 0, entries(1, 1))


async def test_scripts_that_the_server_lost_are_loaded_again(ring, client):
    await make(ring, 1, 2)
    await client.script_flush()
    await append(ring, 3, 3)
    await client.script_flush()
    assert await numbers(ring) == [1, 2, 3]


async def test_runs_of_many_users_go_in_together_in_their_order(ring, client):
    for user in ("ann", "bob"):
        await make(ring, 1, 0, user)
    await client.script_flush()
    await ring.append([("ann", entries(1, 2)), ("bob", entries(1, 1)), ("ann", entries(3, 4))])
    assert (await ring.read("ann", 0, 10)).entries == entries(1, 4)
    assert (await ring.read("bob", 0, 10)).entries == entries(1, 1)


async def test_ring_neither_written_nor_read_goes_away(ring_of, client, keys):
    await make(ring_of(5, ttl_s=1), 1, 3)

    async def gone() -> bool:
        return await client.exists(keys.ring("ann")) == 0

    await until(gone)


async def test_reading_and_writing_renew_the_time_to_live(ring_of, client, keys):
    await make(ring_of(5, ttl_s=10), 1, 1)
    await append(ring_of(5, ttl_s=500), 2, 2)
    assert await client.ttl(keys.ring("ann")) > 400
    await ring_of(5, ttl_s=5000).read("ann", 0, 1)
    assert await client.ttl(keys.ring("ann")) > 4000
