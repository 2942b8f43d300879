"""The relay: spreads outbox rows whose process is gone or gave them up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from domain.errors import RingpostError, Unavailable
from domain.ids import ConversationId
from infra.crash import crash_point
from infra.kafka.publisher import Confirmed, Publisher
from infra.kafka.topics import TopicTool
from infra.mongo.contents import Content
from infra.mongo.outbox import OutboxStore
from infra.mongo.rows import Place, Row
from infra.settings import OutboxSettings
from infra.telemetry.logs import logger
from infra.telemetry.names import OUTBOX_ROWS, RELAYED
from producers.barrier import Barrier
from producers.changes import Changes
from producers.lease import Lease
from producers.membership import Membership
from producers.records import Spreadable, records_of

RECORDS_AT_ONCE = 2_000
MESSAGES_AT_ONCE = 2_000
"""The most messages in one batch. The last row of a batch may exceed it."""

PATIENCE_S = 3600.0
"""Seconds that an announced message may still appear in the store: its process may be paused."""

LOOK_AGAIN_S = 5.0
"""Seconds between two looks at a row that lacks messages."""


class _Adopted(NamedTuple):
    """A row on its way. `since` is when it was adopted, `look_at` when to look again, `missing` the places
    that are not spread yet, and `confirmed` where Kafka has the records of the others."""

    row: Row
    since: float
    look_at: float
    missing: list[Place]
    confirmed: list[Confirmed]


class Relay:
    """Adopts rows whose owner's lease ran out, or that were given up, and spreads them again.

    It makes sure that changes are in effect. It spreads the messages of one conversation by seq. If they
    were spread before, this does no harm: recipients are the same, and a timeline has a message once. Any
    number of relays may run. They take turns. One that dies in its turn delays the others by a lease. A row
    that lacks messages in the store, or whose members cannot be told yet, is set aside and looked at again.
    These rows are few: each is a commit that was cut off. The relay also makes topics again that Kafka lost.
    """

    name = "relay"

    def __init__(
        self,
        stores: tuple[OutboxStore, Changes, Membership],
        lease: Lease,
        barrier: Barrier,
        log: tuple[Publisher, TopicTool, int],
        settings: OutboxSettings,
    ) -> None:
        self._outbox, self._changes, self._membership = stores
        self.lease = lease
        self._barrier = barrier
        self._publisher, self._topics, self._partitions = log
        self._settings = settings
        self._turn_until = 0.0
        self._incomplete: deque[_Adopted] = deque()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        earlier = 1
        while not self._stopping.is_set():
            with suppress(RingpostError):
                earlier = earlier and await self._outbox.take_earlier()
            if not await self.step():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._settings.scan_s)
        with suppress(Unavailable):
            await self._outbox.end_turn(self.lease.owner)

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> int:
        """Adopt and spread one batch. Returns how many rows. Failed rows are given up and adopted again."""
        rows: list[_Adopted] = []
        now = time.monotonic()
        try:
            if not await self._has_turn(now):
                self._leave_incomplete()
                return 0
            found = await self._outbox.adopt(self.lease.owner, self._settings.batch, MESSAGES_AT_ONCE)
            rows += [_Adopted(row, now, now, row.places, []) for row in found]
            while (
                self._incomplete and self._incomplete[0].look_at <= now and len(rows) < 2 * len(found) + 100
            ):
                rows.append(self._incomplete.popleft())
            await self._spread(rows)
        except RingpostError as error:
            logger().warning("could not relay rows", error=error.message, rows=len(rows))
            self.lease.give_up_written(row.row.row_id for row in rows)
            with suppress(RingpostError):
                await self._topics.create()
            return 0
        return len(found)

    async def _has_turn(self, now: float) -> bool:
        """Whether this relay may spread. It takes its turn anew long before it lapses."""
        if now < self._turn_until:
            return True
        lease_s = self._settings.lease_s
        if not await self._outbox.take_turn(self.lease.owner, lease_s):
            return False
        self._turn_until = now + lease_s / 3
        await self._outbox.forget_publishers()
        OUTBOX_ROWS.set(await self._outbox.count(self._settings.rows))
        return True

    def _leave_incomplete(self) -> None:
        """Leave incomplete rows to the relay whose turn it is. Our own turn may not come again soon."""
        self.lease.give_up_written(row.row.row_id for row in self._incomplete)
        self._incomplete.clear()

    async def _spread(self, rows: Sequence[_Adopted]) -> None:
        if not rows:
            return
        crash_point("adopted")
        stored = await self._changes.settled({place for row in rows for place in row.missing})
        before = await self._barrier.committed()
        done, confirmed = await self._publish(_in_order(rows, stored))
        crash_point("relayed")
        await self._outbox.mark_spread(self.lease.owner, [row.row.row_id for row in rows])
        for row in rows:
            missing = [place for place in row.missing if place not in done]
            records = _farthest([*row.confirmed, *confirmed])
            if not missing or time.monotonic() - row.since > PATIENCE_S:
                self._barrier.confirmed([row.row.row_id], records, before)
                RELAYED.inc()
            else:
                look_at = time.monotonic() + LOOK_AGAIN_S
                self._incomplete.append(row._replace(look_at=look_at, missing=missing, confirmed=records))

    async def _publish(self, messages: Mapping[Place, Content]) -> tuple[Set[Place], list[Confirmed]]:
        """Publish these messages but those whose members cannot be told now. Raises Unavailable.

        Returns the places that are done, and where Kafka has the records.
        """
        members, unsettled = await self._membership.of_stored(conversation for conversation, _ in messages)
        known = [
            Spreadable(members[conversation], seq, content.carried, content.target)
            for (conversation, seq), content in messages.items()
            if conversation in members
        ]
        records = records_of(known, self._partitions)
        confirmed: list[Confirmed] = []
        for start in range(0, len(records), RECORDS_AT_ONCE):
            receipt = await self._publisher.enqueue(records[start : start + RECORDS_AT_ONCE])
            confirmed += _farthest(await receipt.confirmed())
        return {place for place in messages if place[0] not in unsettled}, confirmed


def _in_order(rows: Sequence[_Adopted], stored: Mapping[Place, Content]) -> dict[Place, Content]:
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
    rising = sorted(records, key=attrgetter("offset"))
    return list({(record.topic, record.partition): record for record in rising}.values())
