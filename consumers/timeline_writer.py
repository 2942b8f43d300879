"""Gives messages their numbers in the recipients' inboxes, in the durable timeline."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from domain.errors import RingpostError
from domain.ids import ConversationId, UserId
from infra.mongo.timelines import Line, TimelineStore
from infra.retry import backoff_s
from infra.telemetry.names import APPENDED, REPEATED

CACHED_HEADS = 200_000
QUERIES_AT_ONCE = 32
LINES_AT_ONCE = 2_000


class Wanted(NamedTuple):
    """A message that a user is to have."""

    user_id: UserId
    conversation_id: ConversationId
    seq: int


class TimelineWriter:
    """Numbers are contiguous and never used twice, even if several writers write the same timelines.

    It remembers where timelines end, as far as the store acknowledged it. If that is outdated, the store's
    unique indexes refuse the write. They alone decide.
    """

    def __init__(self, timelines: TimelineStore) -> None:
        self._timelines = timelines
        self._heads: OrderedDict[UserId, int] = OrderedDict()

    async def append(self, wanted: Sequence[Wanted]) -> list[int]:
        """The inbox seq of each message for its user, durable. A message that the timeline had keeps its seq.

        New messages get numbers in the order given. After Unavailable some may be written: the next call
        with the same messages finds them.
        """
        numbers: dict[Wanted, int] = {}
        waiting = list(dict.fromkeys(wanted))
        waits = backoff_s(0.005, 0.5)
        while waiting:
            tried = waiting[:LINES_AT_ONCE]
            written = await self._write(tried, numbers)
            waiting = waiting[written:]
            if written < len(tried):
                found = await self._look_up(tried[written:], numbers)
                waiting = [one for one in waiting if one not in numbers]
                if not written and not found:  # another writer's numbers are not readable yet
                    await asyncio.sleep(next(waits))
        while len(self._heads) > CACHED_HEADS:
            self._heads.popitem(last=False)
        return [numbers[one] for one in wanted]

    async def find(
        self, users: Collection[UserId], conversation: ConversationId, seqs: Collection[int]
    ) -> list[Line]:
        """The lines that these users' timelines have of these messages."""
        return await self._timelines.find(users, conversation, seqs)

    async def _write(self, wanted: Sequence[Wanted], numbers: dict[Wanted, int]) -> int:
        """Number and store up to the first that is refused. Returns how many it stored."""
        await self._load_heads(one.user_id for one in wanted)
        heads: dict[UserId, int] = {}
        lines = []
        for user, conversation, seq in wanted:
            heads[user] = heads.get(user, self._heads[user]) + 1
            lines.append(Line(user, heads[user], conversation, seq))
        try:
            written = await self._timelines.append(lines)
        except RingpostError:
            self._forget(heads)
            raise
        for one, line in zip(wanted[:written], lines, strict=False):
            numbers[one] = self._heads[one.user_id] = line.inbox_seq
        APPENDED.inc(written)
        return written

    async def _look_up(self, wanted: Sequence[Wanted], numbers: dict[Wanted, int]) -> int:
        """Learn which of the messages the timelines have, and forget where these end. Returns how many.

        Asks once for each conversation, for all of its users at the same time.
        """
        known = len(numbers)
        asked = set(wanted)
        places: dict[ConversationId, tuple[set[UserId], set[int]]] = {}
        for user, conversation, seq in wanted:
            users, seqs = places.setdefault(conversation, (set(), set()))
            users.add(user)
            seqs.add(seq)
        self._forget({user for user, _, _ in wanted})
        limit = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def look_up(conversation: ConversationId, users: set[UserId], seqs: set[int]) -> None:
            async with limit:
                lines = await self._timelines.find(users, conversation, seqs)
            for line in lines:
                found = Wanted(line.user_id, conversation, line.seq)
                if found in asked:
                    numbers[found] = line.inbox_seq

        await asyncio.gather(*[look_up(conversation, *some) for conversation, some in places.items()])
        REPEATED.inc(len(numbers) - known)
        return len(numbers) - known

    async def _load_heads(self, users: Iterable[UserId]) -> None:
        limit = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def load(user: UserId) -> None:
            async with limit:
                self._heads[user] = await self._timelines.head(user)

        unknown = []
        for user in dict.fromkeys(users):
            if user in self._heads:
                self._heads.move_to_end(user)
            else:
                unknown.append(load(user))
        if unknown:
            await asyncio.gather(*unknown)

    def _forget(self, users: Iterable[UserId]) -> None:
        for user in users:
            self._heads.pop(user, None)
