"""I5: ring and timeline, read through `Sync`, are one list: cases by name; all others: test_inbox_model."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from api.sync import Sync
from domain.entries import Entry
from domain.errors import CursorAhead
from infra.mongo.timelines import Line
from infra.redis.ring import Ring
from infra.settings import RingSettings
from tests.builders import opened_stores, settings_for, stored

_users = itertools.count(1)


class Inbox:
    """One user's inbox on the real stores, beside the plain list that it should be."""

    def __init__(self, stores) -> None:
        self.user = f"u{next(_users)}"
        self.list: list[Entry] = []
        self._stores = stores
        self._behind = 0
        self.capacity(3)

    def capacity(self, capacity: int) -> None:
        self.ring = Ring(self._stores.redis, self._stores.keys, RingSettings(capacity=capacity))
        self.sync = Sync(self.ring, self._stores.timelines, self._stores.messages)

    async def write_without_ring(self, count: int) -> None:
        """A consumer that died between timeline and ring; the next write repeats what it left."""
        conversation = f"d:{self.user}:x"
        first = len(self.list) + 1
        messages = [stored(conversation, seq) for seq in range(first, first + count)]
        await self._stores.messages.insert(messages)
        await self._stores.timelines.append([Line(self.user, m.seq, conversation, m.seq) for m in messages])
        self.list += [Entry(m.seq, m.message) for m in messages]

    async def write(self, count: int) -> None:
        await self.write_without_ring(count)
        await self.ring.append([(self.user, self.list[self._behind :])])
        self._behind = len(self.list)

    async def drop_ring(self, _: None) -> None:
        await self._stores.redis.delete(self._stores.keys.ring(self.user))


@pytest.fixture
async def stores(engines, unique):
    async with opened_stores(settings_for(engines, unique)) as stores:
        yield stores


@pytest.mark.parametrize("capacity, limit", [(1, 1), (2, 5), (5, 3), (200, 50)])
async def test_reader_gets_each_entry_once_while_a_writer_overwrites_the_ring(stores, capacity, limit):
    inbox, chance = Inbox(stores), random.Random(capacity)
    inbox.capacity(capacity)
    total, cursor, got = 120, 0, []

    async def write() -> None:
        while len(inbox.list) < total:
            await inbox.write(chance.randint(1, 8))
            if chance.random() < 0.2:
                await inbox.drop_ring(None)

    writing = asyncio.create_task(write())
    while not writing.done() or cursor < len(inbox.list):
        page = await inbox.sync.pull(inbox.user, cursor, limit)
        got, cursor = got + page.entries, page.cursor
    await writing
    assert got == inbox.list


async def test_missing_ring_is_rebuilt_once_however_many_ask(stores):
    inbox = Inbox(stores)
    await inbox.write(4)
    inbox.capacity(200)
    pages = await asyncio.gather(*(inbox.sync.pull(inbox.user, 0, 100) for _ in range(20)))
    assert all(page.entries == inbox.list for page in pages)
    held = await inbox.ring.read(inbox.user, 0, 100)
    assert held == (1, 4, inbox.list)


async def test_entry_written_just_before_a_ring_is_rebuilt_is_in_it(stores):
    """The claim comes before the look into the timeline, so nothing can fall between them."""
    inbox = Inbox(stores)

    class Late(Ring):
        async def begin_fill(self, user):
            await inbox.write(1)
            return await super().begin_fill(user)

    ring = Late(stores.redis, stores.keys, RingSettings(capacity=5))
    page = await Sync(ring, stores.timelines, stores.messages).pull(inbox.user, 0, 10)
    assert page.entries == inbox.list
    assert (await inbox.ring.read(inbox.user, 0, 10)).head == 1


async def test_head_is_what_can_be_pulled(stores):
    """I2: a device told of a head finds it."""
    inbox = Inbox(stores)
    assert await inbox.sync.head(inbox.user) == 0
    await inbox.write(5)
    assert await inbox.sync.head(inbox.user) == 5


async def test_cursor_ahead_is_an_error_with_and_without_a_ring(stores):
    inbox = Inbox(stores)
    for _ in range(2):
        with pytest.raises(CursorAhead):
            await inbox.sync.pull(inbox.user, len(inbox.list) + 1, 10)
        await inbox.write(3)
