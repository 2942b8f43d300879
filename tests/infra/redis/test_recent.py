"""The newest conversations of a user: a true copy of a part of the timeline, of bounded size, or none."""

from __future__ import annotations

import pytest

from domain.entries import Entry
from domain.ids import ConversationId
from infra.redis.recent import MOST_RECENT, Known, Recent
from infra.redis.ring import Ring
from infra.settings import RingSettings
from tests.builders import generation_of, stored, until

EDIT = b'{"type":"edit","edit":{"message_id":"g:a:1"}}'


def group(number: int) -> ConversationId:
    return ConversationId(f"g:{number:016d}")


def message(seq: int, conversation: str) -> Entry:
    return Entry(seq, stored(ConversationId(conversation), 1).message)


@pytest.fixture
def ring(client, keys):
    return Ring(client, keys, RingSettings(capacity=5, idle_ttl_s=600))


@pytest.fixture
def recent(client, keys):
    return Recent(client, keys, 600)


async def append(ring: Ring, *entries: Entry) -> None:
    await ring.append([("ann", entries)])


async def test_user_whose_list_nobody_reads_gets_no_set(ring, recent, client, keys):
    await append(ring, message(1, "g:a"))
    assert await recent.read("ann") is None
    assert await client.exists(keys.recent("ann")) == 0


async def test_kept_set_is_read_as_it_was(recent):
    known = Known(2, 2**53 - 1, {"d:ann:bob": 3, "g:a": 2**53 - 2})
    await recent.keep("ann", known)
    assert await recent.read("ann") == known


async def test_set_of_an_empty_timeline_learns_all_that_comes(ring, recent):
    await recent.keep("ann", Known(0, 0, {}))
    await append(ring, message(1, "g:a"), message(2, "d:ann:bob"), message(3, "g:a"))
    assert await recent.read("ann") == Known(0, 3, {"g:a": 3, "d:ann:bob": 2})


async def test_set_is_kept_up_to_date_beside_a_ring_and_without_one(ring, recent):
    await recent.keep("ann", Known(0, 1, {"g:a": 1}))
    await append(ring, message(2, "g:b"))
    token = await ring.begin_fill("ann")
    await append(ring, message(3, "g:c"))
    assert await ring.fill("ann", token, 2, [])
    await append(ring, message(4, "g:a"))
    assert await recent.read("ann") == Known(0, 4, {"g:a": 4, "g:b": 2, "g:c": 3})
    assert (await ring.read("ann", 0, 9)).head == 4


async def test_entry_that_is_no_message_moves_no_conversation(ring, recent):
    await recent.keep("ann", Known(0, 1, {"g:a": 1}))
    await append(ring, Entry(2, EDIT), message(3, "g:b"), Entry(4, EDIT))
    assert await recent.read("ann") == Known(0, 4, {"g:a": 1, "g:b": 3})


async def test_entries_that_the_set_knows_are_ignored(ring, recent):
    """I6: the log replayed leaves the set as it was."""
    await recent.keep("ann", Known(0, 0, {}))
    log = [message(1, "g:a"), message(2, "g:b"), message(3, "g:a"), Entry(4, EDIT), message(5, "g:b")]
    await append(ring, *log)
    before = await recent.read("ann")
    for first, last in ((0, 1), (1, 4), (0, 5), (4, 5)):
        await append(ring, *log[first:last])
        assert await recent.read("ann") == before


async def test_entries_partly_known_are_taken_from_where_they_are_new(ring, recent):
    await recent.keep("ann", Known(0, 2, {"g:a": 1, "g:b": 2}))
    await append(ring, message(1, "g:a"), message(2, "g:b"), message(3, "g:c"), message(4, "g:a"))
    assert await recent.read("ann") == Known(0, 4, {"g:a": 4, "g:b": 2, "g:c": 3})


async def test_set_that_would_get_a_gap_is_removed(ring, recent, client, keys):
    await recent.keep("ann", Known(0, 2, {"g:a": 1}))
    await append(ring, message(4, "g:b"))
    assert await client.exists(keys.recent("ann")) == 0


@pytest.mark.parametrize("at_once", [True, False])
async def test_full_set_drops_its_oldest_and_knows_since_when_it_is_whole(
    ring, recent, client, keys, at_once
):
    await recent.keep("ann", Known(0, 0, {}))
    entries = [message(seq, group(seq)) for seq in range(1, MOST_RECENT + 4)]
    if at_once:
        await append(ring, *entries)
    else:
        for entry in entries:
            await append(ring, entry)
    known = await recent.read("ann")
    assert known == Known(3, MOST_RECENT + 3, {group(seq): seq for seq in range(4, MOST_RECENT + 4)})
    await append(ring, message(MOST_RECENT + 4, group(7)))
    assert (await recent.read("ann")).since == 3
    assert await client.zcard(keys.recent("ann")) == MOST_RECENT + 2


async def test_more_than_a_set_holds_is_cut_to_the_newest(recent):
    newest = {group(seq): seq for seq in range(11, MOST_RECENT + 16)}
    await recent.keep("ann", Known(10, 999, newest))
    known = await recent.read("ann")
    assert known == Known(15, 999, {group(seq): seq for seq in range(16, MOST_RECENT + 16)})


@pytest.mark.parametrize("first_known", [True, False])
async def test_parts_that_overlap_or_touch_are_joined(recent, first_known):
    """Whoever is late: a reader of an older part, or one of a newer part."""
    older = Known(2, 6, {"g:a": 3, "g:b": 6})
    newer = Known(6, 9, {"g:c": 7, "g:b": 9})
    parts = [older, newer] if first_known else [newer, older]
    for part in parts:
        await recent.keep("ann", part)
    assert await recent.read("ann") == Known(2, 9, {"g:a": 3, "g:b": 9, "g:c": 7})


@pytest.mark.parametrize("first_known", [True, False])
async def test_of_parts_with_a_gap_between_them_the_newer_stays_alone(recent, first_known):
    older, newer = Known(2, 6, {"g:a": 3}), Known(7, 9, {"g:c": 8})
    for part in [older, newer] if first_known else [newer, older]:
        await recent.keep("ann", part)
    assert await recent.read("ann") == newer


async def test_part_in_the_middle_of_the_set_changes_nothing(recent):
    known = Known(1, 9, {"g:a": 8, "g:b": 2})
    await recent.keep("ann", known)
    await recent.keep("ann", Known(1, 4, {"g:a": 4, "g:b": 2}))
    assert await recent.read("ann") == known


async def grow_old(client, key: str) -> None:
    """The set is what it would be had another Redis written it."""
    now = await generation_of(client)
    for mark in (b"<", b">"):
        score = await client.zscore(key, mark + now)
        await client.zrem(key, mark + now)
        await client.zadd(key, {mark + b"\x00old": score})


async def test_set_of_another_generation_is_neither_read_nor_written(ring, recent, client, keys):
    await recent.keep("ann", Known(0, 1, {"g:a": 1}))
    await grow_old(client, keys.recent("ann"))
    before = await client.zrange(keys.recent("ann"), 0, -1, withscores=True)
    assert await recent.read("ann") is None
    await append(ring, message(2, "g:b"))
    assert await client.zrange(keys.recent("ann"), 0, -1, withscores=True) == before


async def test_set_of_another_generation_is_replaced(recent, client, keys):
    await recent.keep("ann", Known(0, 5, {"g:old": 5}))
    await grow_old(client, keys.recent("ann"))
    await recent.keep("ann", Known(1, 3, {"g:a": 3}))
    assert await recent.read("ann") == Known(1, 3, {"g:a": 3})
    assert await client.zcard(keys.recent("ann")) == 3


async def test_set_neither_written_nor_read_goes_away(client, keys, recent):
    await Recent(client, keys, 1).keep("ann", Known(0, 1, {"g:a": 1}))

    async def gone() -> bool:
        return await client.exists(keys.recent("ann")) == 0

    await until(gone)


async def test_reading_and_writing_renew_the_time_to_live(client, keys, ring):
    key = keys.recent("ann")
    await Recent(client, keys, 10).keep("ann", Known(0, 1, {"g:a": 1}))
    await append(ring, message(2, "g:a"))
    assert await client.ttl(key) > 500
    await Recent(client, keys, 5000).read("ann")
    assert await client.ttl(key) > 4000
