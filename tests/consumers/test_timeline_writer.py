from __future__ import annotations

import asyncio

import pytest

from consumers.timeline_writer import TimelineWriter, Wanted
from infra.mongo.timelines import Line


@pytest.fixture
def writer(stores):
    return TimelineWriter(stores.timelines)


def wanted(user: str, first: int, last: int, conversation: str = "d:ann:bob") -> list[Wanted]:
    return [Wanted(user, conversation, seq) for seq in range(first, last + 1)]


async def places(stores, user: str) -> list[tuple[str, int]]:
    """The user's timeline, which must be whole."""
    lines = await stores.timelines.page(user, 0, 10_000)
    assert [line.inbox_seq for line in lines] == list(range(1, len(lines) + 1))
    assert await stores.timelines.head(user) == len(lines)
    return [(line.conversation_id, line.seq) for line in lines]


async def test_numbers_are_contiguous_from_one_for_each_user(writer):
    """I3."""
    both = [one for pair in zip(wanted("ann", 1, 3), wanted("bob", 1, 3), strict=True) for one in pair]
    assert await writer.append(both) == [1, 1, 2, 2, 3, 3]
    assert await writer.append(wanted("ann", 4, 5)) == [4, 5]


async def test_replay_gives_the_same_numbers_and_changes_nothing(stores, writer):
    """I6."""
    first = await writer.append(wanted("ann", 1, 5))
    before = await places(stores, "ann")
    assert await writer.append(wanted("ann", 1, 5)) == first
    assert await TimelineWriter(stores.timelines).append(wanted("ann", 1, 5)) == first
    assert await places(stores, "ann") == before


async def test_batch_with_known_messages_in_its_middle_gets_all_numbers(stores, writer):
    await writer.append(wanted("ann", 3, 4))
    assert await writer.append(wanted("ann", 1, 6)) == [3, 4, 1, 2, 5, 6]
    assert len(await places(stores, "ann")) == 6


async def test_message_wanted_twice_in_a_batch_has_one_entry(stores, writer):
    assert await writer.append([*wanted("ann", 1, 2), *wanted("ann", 1, 3)]) == [1, 2, 1, 2, 3]
    assert len(await places(stores, "ann")) == 3


async def test_memory_that_is_outdated_is_noticed(stores, writer):
    """I3: another process wrote the timeline meanwhile."""
    await writer.append(wanted("ann", 1, 2))
    await stores.timelines.append([Line("ann", seq, "d:ann:cem", seq) for seq in (3, 4)])
    assert await writer.append(wanted("ann", 3, 4)) == [5, 6]
    assert len(await places(stores, "ann")) == 6


async def test_outdated_memory_of_one_user_does_not_disturb_others(stores, writer):
    await writer.append([*wanted("ann", 1, 1), *wanted("bob", 1, 1)])
    await stores.timelines.append([Line("ann", 2, "d:ann:cem", 1)])
    assert await writer.append([*wanted("bob", 2, 2), *wanted("ann", 2, 2), *wanted("bob", 3, 3)]) == [
        2,
        3,
        3,
    ]


async def test_two_writers_of_different_messages_leave_no_hole_and_no_double(stores):
    """I3: two consumers that both think they own a partition."""
    writers = [TimelineWriter(stores.timelines) for _ in range(3)]
    users = ["ann", "bob", "cem"]

    async def write(writer: TimelineWriter, conversation: str) -> None:
        for first in range(1, 31, 5):
            await writer.append(
                [one for user in users for one in wanted(user, first, first + 4, conversation)]
            )

    await asyncio.gather(*(write(writer, f"g:{number}") for number, writer in enumerate(writers)))
    for user in users:
        found = await places(stores, user)
        assert sorted(found) == sorted((f"g:{n}", seq) for n in range(3) for seq in range(1, 31))


async def test_two_writers_of_the_same_messages_agree_on_the_numbers(stores):
    """I6: a replay at the same time as the original."""
    writers = [TimelineWriter(stores.timelines) for _ in range(3)]

    async def write(writer: TimelineWriter) -> list[int]:
        numbers = []
        for first in range(1, 41, 4):
            numbers += await writer.append(
                [*wanted("ann", first, first + 3), *wanted("bob", first, first + 3)]
            )
        return numbers

    one, *others = await asyncio.gather(*map(write, writers))
    assert all(other == one for other in others)
    assert len(await places(stores, "ann")) == len(await places(stores, "bob")) == 40


async def test_more_lines_than_one_write_takes_are_numbered_in_order(stores, writer):
    assert await writer.append(wanted("ann", 1, 4500)) == list(range(1, 4501))


async def test_nothing_wanted_nothing_written(writer):
    assert await writer.append([]) == []


async def test_only_so_many_ends_are_remembered(stores, writer, monkeypatch):
    """I8; timelines whose end was forgotten are gone on with all the same."""
    monkeypatch.setattr("consumers.timeline_writer.CACHED_HEADS", 2)
    users = ("ann", "bob", "cem", "dea")
    head, asked = stores.timelines.head, 0

    async def counted(user):
        nonlocal asked
        asked += 1
        return await head(user)

    monkeypatch.setattr(stores.timelines, "head", counted)
    for seq in (1, 2, 3):
        assert await writer.append([Wanted(user, "g:x", seq) for user in users]) == [seq] * 4
    assert asked == 4 + 2 + 2


async def test_a_repeated_message_of_a_group_is_looked_up_for_all_members_at_once(stores, monkeypatch):
    """One member after the other would hold a worker up for a second."""
    users = [f"u{number}" for number in range(300)]
    all_of = [Wanted(user, "g:x", 1) for user in users]
    assert await TimelineWriter(stores.timelines).append(all_of) == [1] * 300
    asked = 0
    find = stores.timelines.find

    async def counted(*query):
        nonlocal asked
        asked += 1
        return await find(*query)

    monkeypatch.setattr(stores.timelines, "find", counted)
    assert await TimelineWriter(stores.timelines).append(all_of) == [1] * 300
    assert asked == 1
