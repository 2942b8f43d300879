"""I3, I4, I5: timeline, ring and sync against a list in memory, whatever writers, readers and Redis do.

Two inbox handlers both believe that they own the user's partition; either may be behind, die between
timeline and ring, or be given any part of the log again. Rings go, claims are left, capacities change.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from msgspec import Raw

from api.sync import Page, Sync
from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter
from domain.entries import Entry
from domain.errors import CursorAhead, Unavailable
from domain.events import Delivery
from domain.ids import UserId
from infra.mongo.behind import BehindStore
from infra.redis.ring import HEADER_BYTES, Ring
from infra.settings import RingSettings
from producers.wiring import Clients
from tests.builders import opened_clients, settings_for, stored, stores_on
from tests.models import run_model

_users = itertools.count(1)
writers = st.integers(0, 1)
places = st.integers(0, 60)
limits = st.integers(1, 12)
counts = st.integers(1, 5)
moments = st.sampled_from(["ring read", "claiming", "claimed", "timeline read"])
events = st.sampled_from(["write", "flush", "write_and_flush", "write_and_die", "raise", "lower"])


class _Dead(Exception):
    """The process is gone."""


class Interrupted(Ring):
    """The real ring; between the steps around it something else happens, once."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._meanwhile: dict[str, Callable[[], Awaitable[None]]] = {}

    @asynccontextmanager
    async def meanwhile(self, moment: str, event: Callable[[], Awaitable[None]]):
        self._meanwhile = {moment: event}
        yield
        self._meanwhile = {}

    async def _happen(self, moment: str) -> None:
        if event := self._meanwhile.pop(moment, None):
            await event()

    async def read(self, user, cursor, limit):
        held = await super().read(user, cursor, limit)
        await self._happen("ring read")
        return held

    async def begin_fill(self, user):
        await self._happen("claiming")
        token = await super().begin_fill(user)
        await self._happen("claimed")
        return token

    async def fill(self, user, token, after, entries):
        await self._happen("timeline read")
        return await super().fill(user, token, after, entries)

    async def append(self, runs):
        await self._happen("numbered")
        return await super().append(runs)


class Model(RuleBasedStateMachine):
    """One user's inbox on the real stores, and the list that it should be.

    A ring that is there reaches at least to `settled`, and holds at most `most` entries.
    """

    def __init__(self, clients: Clients, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        super().__init__()
        self.clients, self.stores, self.run = clients, stores_on(clients), run
        self.user = UserId(f"u{next(_users)}")
        self.ring_key = self.stores.keys.ring(self.user)
        self.conversation = f"d:{self.user}:x"
        self.log: list[bytes] = []
        self.list: list[int] = []
        self.claims: list[tuple[str, int]] = []
        self.settled = self.most = 0
        self.writers = [TimelineWriter(self.stores.timelines) for _ in range(2)]
        self.use(3)

    def use(self, capacity: int) -> None:
        """Processes with this capacity from now on."""
        self.capacity, self.most = capacity, max(self.most, capacity)
        self.ring = Interrupted(self.stores.redis, self.stores.keys, RingSettings(capacity=capacity))
        self.sync = Sync(self.ring, self.stores.timelines, self.stores.contents)

    def entries(self, first: int, last: int) -> list[Entry]:
        """What the list has between these numbers, both included."""
        found = enumerate(self.list[first - 1 : last], first)
        return [Entry(number, self.log[seq - 1]) for number, seq in found]

    # ---------------------------------------------------------------- what happens

    async def sent(self, count: int) -> list[int]:
        """New messages: stored, and on the log."""
        seqs = list(range(len(self.log) + 1, len(self.log) + 1 + count))
        messages = [stored(self.conversation, seq) for seq in seqs]
        await self.stores.messages.insert(messages)
        self.log += [one.message for one in messages]
        return seqs

    async def handle(self, writer: int, seqs: list[int]) -> None:
        """The records of these messages, from beginning to end. Redis is back then if it was away."""
        behind = Behind(self.ring, BehindStore(self.stores.database), 1)
        inbox = Inbox(self.writers[writer], self.stores.contents, self.ring, behind, self.clients.publisher)
        to = (self.user,)
        batch = [Taken(0, Delivery(self.conversation, seq, to, Raw(self.log[seq - 1]))) for seq in seqs]
        await (await inbox.handle(batch))
        await behind.step()

    async def settle(self, *batches: list[int]) -> None:
        """Batches were handled, at the same time: what was not in the list is, each batch in its order."""
        before = set(self.list)
        new = await self.look()
        assert set(new) == set().union(*batches) - before
        for batch in batches:
            others = set().union(*(other for other in batches if other is not batch))
            mine = [seq for seq in new if seq in batch and seq not in others]
            assert mine == [seq for seq in batch if seq not in before and seq not in others]
        self.settled = max(self.settled, *(self.list.index(seq) + 1 for batch in batches for seq in batch))
        self.most = self.capacity

    async def look(self) -> list[int]:
        """Read the whole timeline. I3: nothing changed but what is new at its end; returns that."""
        lines = await self.stores.timelines.page(self.user, 0, 10_000)
        assert [line.inbox_seq for line in lines] == list(range(1, len(lines) + 1))
        assert await self.stores.timelines.head(self.user) == len(lines)
        seqs, known = [line.seq for line in lines], len(self.list)
        assert seqs[:known] == self.list
        assert len(set(seqs)) == len(seqs)
        self.list = seqs
        return seqs[known:]

    async def do_write(self, writer: int = 1, count: int = 2) -> None:
        seqs = await self.sent(count)
        await self.handle(writer, seqs)
        await self.settle(seqs)

    async def do_flush(self) -> None:
        """Redis loses all that it holds for the user."""
        await self.stores.redis.delete(self.ring_key, self.stores.keys.filling(self.user))

    async def do_write_and_flush(self) -> None:
        await self.do_write()
        await self.do_flush()

    async def do_write_and_die(self, writer: int = 0, count: int = 2) -> None:
        """The process goes away between timeline and ring; another takes its place and knows nothing."""
        seqs = await self.sent(count)
        async with self.ring.meanwhile("numbered", _die):
            with pytest.raises(_Dead):
                await self.handle(writer, seqs)
        assert await self.look() == seqs
        self.writers[writer] = TimelineWriter(self.stores.timelines)

    async def do_raise(self) -> None:
        self.use(self.capacity + 4)

    async def do_lower(self) -> None:
        self.use(max(1, self.capacity // 2))

    # ---------------------------------------------------------------- rules: writers

    def part(self, first: int, count: int) -> list[int]:
        """Records that were on the log already, from anywhere."""
        first %= len(self.log)
        return list(range(1, len(self.log) + 1))[first : first + count]

    @rule(writer=writers, count=counts)
    def write(self, writer, count):
        self.run(self.do_write(writer, count))

    @precondition(lambda self: self.log)
    @rule(writer=writers, first=places, count=st.integers(1, 20))
    def deliver_again(self, writer, first, count):
        async def deliver() -> None:
            seqs = self.part(first, count)
            await self.handle(writer, seqs)
            await self.settle(seqs)

        self.run(deliver())

    @rule(counts=st.tuples(counts, counts), again=st.integers(0, 3))
    def both_write(self, counts, again):
        """Both handlers at once, the second also with the end of what the first one has."""

        async def write() -> None:
            one = await self.sent(counts[0])
            other = one[len(one) - again :] + await self.sent(counts[1])
            await asyncio.gather(self.handle(0, one), self.handle(1, other))
            await self.settle(one, other)

        self.run(write())

    @rule(writer=writers, count=counts)
    def write_and_die(self, writer, count):
        self.run(self.do_write_and_die(writer, count))

    @rule(writer=writers, count=counts)
    def write_while_redis_is_away(self, writer, count):
        async def write() -> None:
            seqs = await self.sent(count)
            async with self.ring.meanwhile("numbered", _away):
                await self.handle(writer, seqs)
            await self.settle(seqs)

        self.run(write())

    # ---------------------------------------------------------------- rules: Redis, capacity, pauses

    @rule(whole=st.booleans())
    def lose(self, whole):
        """The ring alone, or all keys of the user."""
        self.run(self.do_flush() if whole else self.stores.redis.delete(self.ring_key))

    @rule(capacity=st.sampled_from([1, 2, 3, 5, 200]))
    def change_capacity(self, capacity):
        self.use(capacity)

    @rule()
    def claim(self):
        """A reader claims the rebuilding, reads the timeline, and pauses."""
        if token := self.run(self.ring.begin_fill(self.user)):
            self.claims.append((token, len(self.list)))

    @precondition(lambda self: self.claims)
    @rule(at=places, late=st.booleans())
    def fill(self, at, late):
        """A reader that paused before reading the timeline (late) or after it, goes on."""
        token, head = self.claims.pop(at % len(self.claims))
        head = len(self.list) if late else head
        first = max(1, head - self.capacity + 1)
        self.run(self.ring.fill(self.user, token, first - 1, self.entries(first, head)))

    # ---------------------------------------------------------------- rules: readers

    @rule(cursor=places, limit=limits)
    def pull(self, cursor, limit):
        self.run(self.pulled(min(cursor, len(self.list)), limit))

    @rule(cursor=places, limit=limits, moment=moments, event=events, absent=st.booleans())
    def pull_while_something_happens(self, cursor, limit, moment, event, absent):
        async def pull() -> None:
            if absent:
                await self.do_flush()
            async with self.ring.meanwhile(moment, getattr(self, f"do_{event}")):
                await self.pulled(min(cursor, len(self.list)), limit)

        self.run(pull())

    async def pulled(self, cursor: int, limit: int) -> Page:
        """I5: one page, which is a part of the list and goes as far as it can; the same when repeated."""
        settled = self.settled
        page = await self.sync.pull(self.user, cursor, limit)
        assert page.entries == self.entries(cursor + 1, page.cursor)
        assert max(settled, cursor) <= page.head <= len(self.list)
        assert len(page.entries) == min(limit, page.head - cursor)
        again = await self.sync.pull(self.user, cursor, limit)
        assert again.entries[: len(page.entries)] == page.entries
        return page

    @rule(start=places, limit=limits, between=st.lists(events, max_size=6))
    def page_through(self, start, limit, between):
        """Each page begins where the last one ended, while writers write and rings go."""

        async def read() -> None:
            cursor, following, more = min(start, len(self.list)), iter(between), True
            while more:
                page = await self.pulled(cursor, limit)
                cursor, more = page.cursor, page.more
                if event := next(following, None):
                    await getattr(self, f"do_{event}")()
            assert cursor >= page.head

        self.run(read())

    @rule(beyond=st.integers(1, 5))
    def pull_from_beyond_the_inbox(self, beyond):
        async def pull() -> None:
            with pytest.raises(CursorAhead):
                await self.sync.pull(self.user, len(self.list) + beyond, 5)

        self.run(pull())

    # ---------------------------------------------------------------- always

    @invariant()
    def timeline_is_the_list(self):
        """I3; reading wrote nothing."""
        assert self.run(self.look()) == []

    @invariant()
    def ring_is_its_newest_part_or_absent(self):
        """I4."""
        elements = self.run(self.stores.redis.lrange(self.ring_key, 0, -1))
        if not elements:
            return
        first = int.from_bytes(elements[0][:8], "big")
        held = [Entry(int.from_bytes(one[:8], "big"), one[HEADER_BYTES:]) for one in elements]
        if not held[0].message:
            held, first = held[1:], first + 1
        assert held == self.entries(first, first + len(held) - 1)
        assert self.settled <= first + len(held) - 1 <= len(self.list)
        assert len(elements) <= self.most

    def teardown(self):
        self.run(self.to_the_end())

    async def to_the_end(self) -> None:
        """Whatever happened before, paging from the beginning yields all that is settled."""
        cursor, more = 0, True
        while more:
            page = await self.sync.pull(self.user, cursor, 4)
            assert page.entries == self.entries(cursor + 1, page.cursor)
            cursor, more = page.cursor, page.more
        assert self.settled <= cursor <= len(self.list)


async def _die() -> None:
    raise _Dead


async def _away() -> None:
    raise Unavailable("Redis does not answer.")


def test_inbox_is_the_list_of_its_model_whatever_happens(engines, unique):
    run_model(opened_clients(settings_for(engines, unique)), 40, Model)
