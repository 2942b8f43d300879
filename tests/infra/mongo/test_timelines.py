from __future__ import annotations

import asyncio

import pytest

from domain.errors import RingpostError
from infra.mongo.timelines import Line, TimelineStore


@pytest.fixture
def store(database):
    return TimelineStore(database)


def lines(user: str, first: int, last: int, conversation: str = "d:ann:bob") -> list[Line]:
    return [Line(user, seq, conversation, seq) for seq in range(first, last + 1)]


async def test_appended_lines_are_read_in_order(store):
    assert await store.append(lines("ann", 1, 5)) == 5
    assert await store.page("ann", 0, 10) == lines("ann", 1, 5)
    assert await store.head("ann") == 5


async def test_empty_inbox_has_head_zero(store):
    assert await store.head("ann") == 0
    assert await store.page("ann", 0, 10) == []


async def test_append_stops_at_a_taken_number_and_nothing_behind_it_goes_in(store):
    """I3: no hole can arise, and no number is used twice."""
    await store.append(lines("ann", 1, 3))
    attempt = [Line("ann", seq, "d:ann:cem", seq) for seq in (3, 4, 5)]
    assert await store.append(attempt) == 0
    assert await store.head("ann") == 3


async def test_append_stops_at_a_message_that_the_timeline_has(store):
    """I6: one message, one entry."""
    await store.append(lines("ann", 1, 2))
    attempt = [Line("ann", 3, "d:ann:bob", 3), Line("ann", 4, "d:ann:bob", 1), Line("ann", 5, "d:ann:bob", 5)]
    assert await store.append(attempt) == 1
    assert [line.seq for line in await store.page("ann", 0, 9)] == [1, 2, 3]


async def test_refused_line_stops_the_lines_of_other_users_behind_it_too(store):
    await store.append(lines("ann", 1, 1))
    assert await store.append([*lines("bob", 1, 1), *lines("ann", 1, 1), *lines("cem", 1, 1)]) == 1
    assert (await store.head("bob"), await store.head("cem")) == (1, 0)


async def test_page_stops_at_a_hole(store):
    """I3: what lies behind a hole is not there yet."""
    await store.append([*lines("ann", 1, 2), *lines("ann", 4, 5)])
    assert [line.inbox_seq for line in await store.page("ann", 0, 10)] == [1, 2]
    assert await store.page("ann", 2, 10) == []


async def test_page_is_limited(store):
    await store.append(lines("ann", 1, 9))
    assert [line.inbox_seq for line in await store.page("ann", 3, 4)] == [4, 5, 6, 7]


async def test_timelines_of_neighbours_do_not_leak(store):
    users = ["an", "ann", "anna", "ao"]
    for length, user in enumerate(users, 1):
        await store.append(lines(user, 1, length))
    assert [await store.head(user) for user in users] == [1, 2, 3, 4]
    assert await store.page("ann", 0, 100) == lines("ann", 1, 2)


async def test_of_concurrent_writers_the_numbers_stay_whole(store):
    """I3: two that both think they own a partition."""
    batches = [[Line("ann", seq, f"d:ann:x{writer}", seq) for seq in (1, 2, 3)] for writer in range(4)]
    written = await asyncio.gather(*map(store.append, batches))
    page = await store.page("ann", 0, 100)
    assert [line.inbox_seq for line in page] == list(range(1, len(page) + 1))
    assert sum(written) == len(page) == 3


async def test_messages_are_found_wherever_they_stand(store):
    await store.append([*lines("ann", 1, 3), Line("ann", 4, "d:ann:cem", 1), *lines("bob", 1, 3)])
    found = await store.find({"ann", "bob"}, "d:ann:bob", {2, 9})
    assert sorted((line.user_id, line.inbox_seq) for line in found) == [("ann", 2), ("bob", 2)]
    assert [line.inbox_seq for line in await store.find({"ann"}, "d:ann:cem", {1})] == [4]


async def test_number_beyond_the_store_is_our_fault_not_the_stores(store):
    with pytest.raises((RingpostError, OverflowError)):
        await store.append([Line("ann", 2**80, "d:ann:bob", 1)])
