"""I5: ring and timeline, read through `Sync`, are one list: cases by name; all others: test_inbox_model."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from api.sync import Sync
from domain.entries import Entry
from domain.errors import CursorAhead, Unavailable
from domain.limits import PAGE_BYTES
from infra.mongo.client import open_database
from infra.mongo.contents import Contents
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import Line, TimelineStore
from infra.redis.client import open_redis
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
        self.padding = b""
        self.capacity(3)

    def capacity(self, capacity: int) -> None:
        self.ring = Ring(self._stores.redis, self._stores.keys, RingSettings(capacity=capacity))
        self.sync = Sync(self.ring, self._stores.timelines, self._stores.contents)

    async def write_without_ring(self, count: int) -> None:
        """A consumer that died between timeline and ring; the next write repeats what it left."""
        conversation = f"d:{self.user}:x"
        first = len(self.list) + 1
        made = [stored(conversation, seq) for seq in range(first, first + count)]
        messages = [m._replace(message=m.message + self.padding) for m in made]
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


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_of_store_and_ring_end_at_the_head(stores, limit):
    """`more` says so, and the next page begins where the last one ended."""
    inbox = Inbox(stores)
    await inbox.write(8)
    cursor, got, more = 0, [], True
    while more:
        page = await inbox.sync.pull(inbox.user, cursor, limit)
        got, cursor, more = got + page.entries, page.cursor, page.more
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
    page = await Sync(ring, stores.timelines, stores.contents).pull(inbox.user, 0, 10)
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


async def test_page_stops_at_a_hole_between_store_and_ring(stores):
    """I3: however the hole came about, what lies behind it is not there yet."""
    inbox = Inbox(stores)
    await inbox.write_without_ring(6)
    await stores.database.collection("timelines").delete_many({"_id": {"u": inbox.user, "s": 3}})
    token = await inbox.ring.begin_fill(inbox.user)
    assert await inbox.ring.fill(inbox.user, token, 4, inbox.list[4:])
    page = await inbox.sync.pull(inbox.user, 0, 10)
    assert (page.entries, page.cursor, page.more) == (inbox.list[:2], 2, True)
    assert (await inbox.sync.pull(inbox.user, 2, 10)).entries == []
    assert (await inbox.sync.pull(inbox.user, 4, 10)).entries == inbox.list[4:]


async def test_page_stops_at_a_line_whose_message_is_not_there(stores):
    inbox = Inbox(stores)
    await inbox.write_without_ring(3)
    place = {"c": f"d:{inbox.user}:x", "q": 2}
    await stores.database.collection("messages").delete_many({"_id": place})
    page = await inbox.sync.pull(inbox.user, 0, 10)
    assert (page.entries, page.cursor, page.head) == (inbox.list[:1], 1, 3)


async def pages(inbox: Inbox, limit: int = 200) -> list[list[Entry]]:
    """Page after page from 0."""
    found: list[list[Entry]] = []
    cursor, more = 0, True
    while more:
        page = await inbox.sync.pull(inbox.user, cursor, limit)
        assert page.entries, "whoever pulls gets on"
        found.append(page.entries)
        cursor, more = page.cursor, page.more
    return found


@pytest.mark.parametrize("capacity", [3, 12, 40])
async def test_page_of_large_messages_ends_early_and_nothing_is_left_out(stores, capacity):
    """I5, I8: from the store, from the ring, and where both meet."""
    inbox = Inbox(stores)
    inbox.padding = b" " * 390_000
    await inbox.write(30)
    inbox.capacity(capacity)
    found = await pages(inbox)
    assert [entry for page in found for entry in page] == inbox.list
    assert all(sum(len(entry.message) for entry in page) <= PAGE_BYTES for page in found)
    held = await inbox.ring.read(inbox.user, 0, 200)
    assert held is not None
    assert sum(len(entry.message) for entry in held.entries) <= PAGE_BYTES


@pytest.mark.parametrize("held", [0, 3, 7, 40])
async def test_store_is_read_in_parts(stores, monkeypatch, held):
    monkeypatch.setattr("api.sync.READ_AT_ONCE", 2)
    inbox = Inbox(stores)
    await inbox.write(15)
    inbox.capacity(held or 1)
    assert [entry for page in await pages(inbox, 5) for entry in page] == inbox.list
    ring = await inbox.ring.read(inbox.user, 0, 100)
    assert ring is not None
    assert ring.entries == inbox.list[-(held or 1) :]


async def test_without_redis_everything_comes_from_the_store(stores, engines, unique):
    """I7."""
    inbox = Inbox(stores)
    await inbox.write(7)
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.2})
    async with open_redis(away.redis) as client:
        sync = Sync(Ring(client, stores.keys, away.ring), stores.timelines, stores.contents)
        assert (await sync.pull(inbox.user, 2, 3)).entries == inbox.list[2:5]
        assert await sync.head(inbox.user) == 7
        with pytest.raises(CursorAhead):
            await sync.pull(inbox.user, 8, 3)


async def test_without_the_store_what_the_ring_holds_is_pulled(stores, engines, unique):
    """I7: and what is older is unavailable, not missing."""
    inbox = Inbox(stores)
    await inbox.write(7)
    assert (await inbox.sync.pull(inbox.user, 0, 9)).entries == inbox.list
    url = "mongodb://127.0.0.1:1/?directConnection=true"
    away = settings_for(engines, unique, mongo={"url": url, "timeout_s": 0.2})
    async with open_database(away.mongo) as database:
        sync = Sync(inbox.ring, TimelineStore(database), Contents(MessageStore(database)))
        assert (await sync.pull(inbox.user, 4, 9)).entries == inbox.list[4:]
        assert (await sync.pull(inbox.user, 7, 9)).entries == []
        assert await sync.head(inbox.user) == 7
        with pytest.raises(Unavailable):
            await sync.pull(inbox.user, 3, 9)
