"""The relay: spreads outbox rows whose process is gone or gave them up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from domain.errors import RingpostError, Unavailable
from domain.ids import ConversationId
from infra.crash import crash_point
from infra.kafka.publisher import Confirmed, Publisher
from infra.kafka.topics import TopicTool
from infra.mongo.messages import MessageStore, Place
from infra.telemetry.logs import logger
from infra.telemetry.names import RELAYED
from producers.barrier import Barrier
from producers.membership import Membership
from producers.records import Spreadable, records_of

RECORDS_AT_ONCE = 2_000
PATIENCE_S = 3600.0
"""Seconds that an announced message may still appear in the store: its process may be paused."""


LOOK_AGAIN_S = 5.0
"""Seconds between two looks at a row that lacks messages."""


class _Adopted(NamedTuple):
    """A row on its way. `since` is when it was adopted, `look_at` when to look again, `missing` the places
    that have no message yet, and `confirmed` where Kafka has the records of the others."""

    row_id: str
    since: float
    look_at: float
    missing: list[Place]
    confirmed: list[Confirmed]


class Relay:
    """Adopts rows whose owner's lease ran out, or that were given up, and spreads them again.

    It spreads them in the order in which they were written, those of one conversation by seq. If they were
    spread before, this does no harm: recipients are the same, and a timeline has a message once.
    Any number of relays may run. They take turns. One that dies in its turn delays the others by a lease.
    A row that lacks messages in the store is set aside and looked at again. These rows are few: each is a
    commit that was cut off. The relay also makes topics again that Kafka lost.
    """

    name = "relay"

    def __init__(
        self,
        barrier: Barrier,
        messages: MessageStore,
        membership: Membership,
        publisher: Publisher,
        topics: TopicTool,
        partitions: int,
    ) -> None:
        self._barrier = barrier
        self._messages = messages
        self._membership = membership
        self._publisher = publisher
        self._topics = topics
        self._partitions = partitions
        self._incomplete: deque[_Adopted] = deque()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            if not await self.step():
                await self._pause()
        with suppress(Unavailable):
            await self._barrier.end_turn()

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> int:
        """Adopt and spread one batch. Returns how many rows. Failed rows are given up and adopted again."""
        rows: list[_Adopted] = []
        now = time.monotonic()
        try:
            if not await self._barrier.take_turn():
                self._leave_incomplete()
                return 0
            rows += [_Adopted(row.row_id, now, now, row.places, []) for row in await self._barrier.adopt()]
            adopted = len(rows)
            while self._incomplete and self._incomplete[0].look_at <= now and len(rows) < 2 * adopted + 100:
                rows.append(self._incomplete.popleft())
            await self._spread(rows)
        except RingpostError as error:
            logger().warning("could not relay rows", error=error.message, rows=len(rows))
            for row in rows:
                self._barrier.give_up(row.row_id)
            with suppress(RingpostError):
                await self._topics.create()
            return 0
        return adopted

    def _leave_incomplete(self) -> None:
        """Leave incomplete rows to the relay whose turn it is. Our own turn may not come again soon."""
        while self._incomplete:
            self._barrier.give_up(self._incomplete.popleft().row_id)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._barrier.scan_s)
        except TimeoutError:
            return

    async def _spread(self, rows: Sequence[_Adopted]) -> None:
        if not rows:
            return
        crash_point("adopted")
        stored = await self._messages.by_place(place for row in rows for place in row.missing)
        confirmed = await self._publish(_in_order(rows, stored))
        crash_point("relayed")
        await self._barrier.mark_spread([row.row_id for row in rows])
        for row in rows:
            missing = [place for place in row.missing if place not in stored]
            records = _farthest([*row.confirmed, *confirmed])
            if not missing or time.monotonic() - row.since > PATIENCE_S:
                self._barrier.confirmed(row.row_id, records)
                RELAYED.inc()
            else:
                look_at = time.monotonic() + LOOK_AGAIN_S
                self._incomplete.append(row._replace(look_at=look_at, missing=missing, confirmed=records))

    async def _publish(self, messages: Mapping[Place, bytes]) -> list[Confirmed]:
        """Publish all these messages. Returns where Kafka has their records. Raises Unavailable."""
        members = await self._membership.of_stored(conversation for conversation, _ in messages)
        known = [
            Spreadable(members[conversation], seq, message)
            for (conversation, seq), message in messages.items()
            if conversation in members
        ]
        records = records_of(known, self._partitions)
        confirmed: list[Confirmed] = []
        for start in range(0, len(records), RECORDS_AT_ONCE):
            receipt = await self._publisher.enqueue(records[start : start + RECORDS_AT_ONCE])
            confirmed += _farthest(await receipt.confirmed())
        return confirmed


def _in_order(rows: Sequence[_Adopted], stored: Mapping[Place, bytes]) -> dict[Place, bytes]:
    """The stored messages in the order of their rows, those of one conversation by seq.

    Rows that were written in different processes may have the clocks of different machines.
    """
    places = list(dict.fromkeys(place for row in rows for place in row.missing if place in stored))
    rising: dict[ConversationId, Iterator[int]] = {}
    for conversation, some in groupby(sorted(places), key=itemgetter(0)):
        rising[conversation] = iter([seq for _, seq in some])
    ordered = [(conversation, next(rising[conversation])) for conversation, _ in places]
    return {place: stored[place] for place in ordered}


def _farthest(records: Iterable[Confirmed]) -> list[Confirmed]:
    """The last record of each partition. Once it is processed, all before it are."""
    last: dict[tuple[str, int], Confirmed] = {}
    for record in records:
        place = record.topic, record.partition
        if place not in last or record.offset > last[place].offset:
            last[place] = record
    return list(last.values())
