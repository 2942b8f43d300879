"""inbox: writes each message to the recipients' timelines, then to their rings, then to `arrivals`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator, Sequence

from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter, Wanted
from domain.entries import Entry
from domain.errors import Unavailable
from domain.events import Arrival, Delivery, decode_delivery, encode
from domain.ids import UserId
from infra.crash import crash_point
from infra.kafka.publisher import Publisher, Receipt, Record
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.redis.ring import Ring
from infra.retry import backoff_s
from infra.telemetry.logs import logger
from infra.telemetry.names import INBOX_S


class Inbox:
    """Store, then sync, then push (I2). A record that is handled again changes no timeline and no ring.

    Without Redis it still writes timelines. When Redis is back, it drops the rings that missed an entry.
    """

    group = "inbox"
    topic = DELIVERIES

    def __init__(self, timelines: TimelineWriter, ring: Ring, publisher: Publisher) -> None:
        self._timelines = timelines
        self._ring = ring
        self._publisher = publisher

    def decode(self, value: bytes) -> Delivery:
        return decode_delivery(value)

    async def handle(self, batch: Sequence[Taken[Delivery]]) -> Awaitable[object]:
        began = time.perf_counter()
        wanted = [Wanted(user, d.conversation_id, d.seq) for _, d in batch for user in d.to]
        numbers = iter(await self._timelines.append(wanted))
        crash_point("timeline")
        entries: dict[UserId, dict[int, bytes]] = {}
        records = []
        for partition, delivery in batch:
            given = tuple((user, next(numbers)) for user in delivery.to)
            message = bytes(delivery.message)
            for user, seq in given:
                entries.setdefault(user, {})[seq] = message
            arrival = Arrival(delivery.conversation_id, delivery.seq, given, delivery.message)
            records.append(Record(ARRIVALS, partition, b"%d" % partition, encode(arrival)))
        stale = await self._append(entries)
        crash_point("ring")
        receipt = await self._publisher.enqueue(records)
        crash_point("arrivals")
        INBOX_S.observe(time.perf_counter() - began)
        return self._finish(receipt, stale)

    async def _append(self, entries: dict[UserId, dict[int, bytes]]) -> list[UserId]:
        """Put the entries into the rings. Returns users whose rings may lack them: Redis did not answer."""
        try:
            await self._ring.append([(user, run) for user, some in entries.items() for run in _runs(some)])
        except Unavailable as error:
            logger().warning("could not write rings", users=len(entries), error=error.message)
            return list(entries)
        return []

    async def _finish(self, receipt: Receipt, stale: Sequence[UserId]) -> None:
        """Returns when Kafka confirmed the arrivals and no ring lacks an entry.

        The offset is committed only then. If this process dies before, its successor does this work.
        """
        await receipt.confirmed()
        waits = backoff_s(0.1, 1.0)
        while stale:
            try:
                await self._ring.drop(stale)
                return
            except Unavailable:
                await asyncio.sleep(next(waits))


def _runs(entries: dict[int, bytes]) -> Iterator[list[Entry]]:
    """The entries in order, in runs of consecutive numbers."""
    run: list[Entry] = []
    for seq in sorted(entries):
        if run and seq != run[-1].seq + 1:
            yield run
            run = []
        run.append(Entry(seq, entries[seq]))
    yield run
