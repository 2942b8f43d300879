"""Pull: the entries after a cursor, from the ring, from the timeline, or from both in one answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from domain.entries import Entry, encode_entries
from domain.errors import CursorAhead, Unavailable
from domain.ids import UserId
from domain.limits import PAGE_BYTES, whole
from infra.mongo.contents import Contents
from infra.mongo.timelines import TimelineStore
from infra.redis.ring import Ring, Slice
from infra.telemetry.names import PULL_S, PULLED, RING_FILLS

READ_AT_ONCE = 100
"""Messages that one query asks the store for: 40 MB at the most."""

FILLS_AT_ONCE = 8
"""Rings that are rebuilt at the same time. Pulls beyond that read only what they need, from the store."""

STORE_PULLS_AT_ONCE = 32
"""Pulls that read the store at the same time. Others wait in order, so many at once do not time out."""

_FROM_RING, _FROM_STORE = PULLED.labels("ring"), PULLED.labels("store")


class Page(NamedTuple):
    """Entries right after the given cursor, the cursor for the next call, and the seq of the newest entry."""

    entries: list[Entry]
    cursor: int
    head: int

    @property
    def more(self) -> bool:
        return self.cursor < self.head

    def encode(self) -> bytes:
        more = b"true" if self.more else b"false"
        entries = encode_entries(self.entries)
        return b'{"entries":%b,"cursor":%d,"head":%d,"more":%b}' % (entries, self.cursor, self.head, more)


class Sync:
    """Reads of inboxes. They give each entry once, in order, without a gap, also while a ring is overwritten.

    Without Redis everything comes from the timeline. Raises Unavailable if it needs the store and the store
    does not answer.
    """

    def __init__(self, ring: Ring, timelines: TimelineStore, contents: Contents) -> None:
        self._ring = ring
        self._timelines = timelines
        self._contents = contents
        self._filling: dict[UserId, asyncio.Task[None]] = {}
        self._store_pulls = asyncio.Semaphore(STORE_PULLS_AT_ONCE)

    async def pull(self, user: UserId, cursor: int, limit: int) -> Page:
        """Up to `limit` entries after the cursor, and no more bytes than an answer holds.

        Raises CursorAhead if the cursor lies beyond the inbox.
        """
        began = time.perf_counter()
        held = await self._held(user, cursor, limit)
        if held is None or cursor > held.head:
            async with self._store_pulls:
                entries, head = await self._from_store(user, cursor, limit)
        else:
            entries, head = await self._joined(user, cursor, limit, held), held.head
        entries = entries[: whole([len(entry.message) for entry in entries])]
        PULL_S.observe(time.perf_counter() - began)
        return Page(entries, entries[-1].seq if entries else cursor, head)

    async def head(self, user: UserId, cursor: int = 0) -> int:
        """The newest entry that every device can pull. 0 for an empty inbox. It makes no ring.

        If there is no ring, or it ends before the cursor, the timeline decides: one document of MongoDB.
        """
        head = (await self.ring_heads([user]))[0]
        if head is not None and head >= cursor:
            return head
        return await self._timelines.head(user)

    async def first_page(self, user: UserId, cursor: int, limit: int) -> tuple[int, list[Entry]]:
        """The newest entry that every device can pull, and the first entries after the cursor if the ring has
        them. If the ring ends before the cursor, the timeline tells the head.

        Without a ring, one begins at the head if nothing is missing: it has what comes from now on. A device
        that misses something pulls it, and the pull rebuilds the ring with what came before.
        """
        try:
            held = await self._ring.read(user, cursor, limit)
        except Unavailable:
            return await self._timelines.head(user), []
        if held is None or held.head < cursor:
            head = await self._timelines.head(user)
            if held is None and head <= cursor:
                head = await self.begin_ring(user)
            return head, []
        _FROM_RING.inc(len(held.entries))
        return held.head, held.entries if held.oldest <= cursor + 1 else []

    async def ring_heads(self, users: Sequence[UserId]) -> list[int | None]:
        """The newest entry of each ring, in few round trips. None without a ring, and without Redis."""
        try:
            return await self._ring.heads(users)
        except Unavailable:
            return [None] * len(users)

    async def begin_ring(self, user: UserId) -> int:
        """The head of the timeline. If there is no ring, one begins there, without entries.

        So a user who is online but never pulls costs MongoDB one read, and not one with each heartbeat.
        """
        try:
            token = await self._ring.begin_fill(user)  # before the timeline is read, as for each ring
        except Unavailable:
            return await self._timelines.head(user)
        head = await self._timelines.head(user)
        if token is not None:
            with suppress(Unavailable):
                await self._ring.fill(user, token, head, [])
        return head

    async def _held(self, user: UserId, cursor: int, limit: int) -> Slice | None:
        """The ring's part. It rebuilds a missing ring first, unless `FILLS_AT_ONCE` are being rebuilt.

        None without Redis, and while there is no ring.
        """
        try:
            held = await self._ring.read(user, cursor, limit)
            if held is None and (user in self._filling or len(self._filling) < FILLS_AT_ONCE):
                await self._fill(user)
                held = await self._ring.read(user, cursor, limit)
        except Unavailable:
            return None
        return held

    async def _joined(self, user: UserId, cursor: int, limit: int, held: Slice) -> list[Entry]:
        """Older entries from the store, the rest from the ring."""
        older = min(limit, held.oldest - 1 - cursor)
        entries = held.entries
        if older > 0:
            async with self._store_pulls:
                stored = await self._stored(user, cursor, older)
            entries = stored + entries if len(stored) == older else stored
        _FROM_RING.inc(len(held.entries))
        return entries

    async def _from_store(self, user: UserId, cursor: int, limit: int) -> tuple[list[Entry], int]:
        """Entries, and the head of the timeline."""
        head = await self._timelines.head(user)
        if cursor > head:
            raise CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor")
        if cursor == head:
            return [], head
        return await self._stored(user, cursor, min(limit, head - cursor)), head

    async def _stored(
        self, user: UserId, after: int, limit: int, most_bytes: float = PAGE_BYTES
    ) -> list[Entry]:
        """Entries out of the timeline; the first of them if they have more bytes than that."""
        lines = await self._timelines.page(user, after, limit)
        entries: list[Entry] = []
        while len(entries) < len(lines) and _bytes(entries) < most_bytes:
            some = lines[len(entries) : len(entries) + READ_AT_ONCE]
            contents = await self._contents.of((line.conversation_id, line.seq) for line in some)
            for line in some:
                content = contents.get((line.conversation_id, line.seq))
                if content is None:
                    return entries  # never seen: a line is written after its message
                entries.append(Entry(line.inbox_seq, content.carried))
        _FROM_STORE.inc(len(entries))
        return entries

    async def _fill(self, user: UserId) -> None:
        """Rebuild the ring. Callers at the same time share one rebuilding."""
        task = self._filling.get(user)
        if task is None:
            task = asyncio.create_task(self._rebuild(user))
            self._filling[user] = task
            task.add_done_callback(lambda _: self._filling.pop(user, None))
        await asyncio.shield(task)

    async def _rebuild(self, user: UserId) -> None:
        token = await self._ring.begin_fill(user)
        if token is None:
            return
        head = await self._timelines.head(user)
        wanted = min(self._ring.fill_limit, head)
        entries: list[Entry] = []
        while len(entries) < wanted and _bytes(entries) < PAGE_BYTES:  # the newest first, then twice as many
            count = min(wanted - len(entries), len(entries) or READ_AT_ONCE)
            older = await self._stored(user, head - len(entries) - count, count, math.inf)
            if len(older) < count:
                return
            entries = older + entries
        kept = whole([len(entry.message) for entry in reversed(entries)])  # the newest that one answer holds
        if await self._ring.fill(user, token, head - kept, entries[len(entries) - kept :]):
            RING_FILLS.inc()


def _bytes(entries: Iterable[Entry]) -> int:
    return sum(len(entry.message) for entry in entries)
