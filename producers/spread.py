"""Spread: publishes the records of stored messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.errors import Unavailable
from infra.crash import crash_point
from infra.kafka.clients import Offsets
from infra.kafka.publisher import Publisher, Receipt
from infra.mongo.rows import Row
from infra.telemetry.logs import logger
from infra.telemetry.names import QUEUE, SPREAD_S
from producers.backlog import Backlog
from producers.barrier import Barrier
from producers.lease import Lease
from producers.records import Spreadable, records_of

WAITING_BYTES = 67_108_864
UNCONFIRMED_ROWS = 2_000
PAUSE_S = 0.01
"""Seconds from one publish to the next. Rows that come meanwhile share records, and so all work behind these.
A row that comes later does not wait."""
RECIPIENTS_AT_ONCE = 1_000
"""With so many recipients a publish takes no further row. Each row counts as one at least."""


class _Waiting(NamedTuple):
    """A row with its messages, when it came, and how many bytes and recipients it has."""

    row: Row
    items: Sequence[Spreadable]
    since: float
    size: int
    recipients: int


class Spreader:
    """Publishes rows in the order of `submit`, and tells the barrier what Kafka has.

    Rows that are published together go to the relay if Kafka does not take them in time, and so does a row
    for which the queue has no place. The rows behind them go their own way. So nothing is lost, and no sender
    waits for Kafka. While `partitions` is 0, the number of inbox partitions is unknown, and every row goes to
    the relay.
    """

    name = "spreader"

    def __init__(
        self, publisher: Publisher, barrier: Barrier, lease: Lease, backlog: Backlog, partitions: int
    ) -> None:
        self._backlog = backlog
        self._queued = QUEUE.labels("spread")
        self._publisher = publisher
        self._barrier = barrier
        self._lease = lease
        self.partitions = partitions
        self._rows: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._bytes = 0
        self._next_at = 0.0
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(UNCONFIRMED_ROWS)

    def submit(self, row: Row, items: Sequence[Spreadable]) -> None:
        """Spread the messages of one outbox row, after those of all rows submitted before."""
        size = sum(len(item.message) for item in items)
        if not self.partitions or self._bytes + size > WAITING_BYTES:
            self._lease.give_up(row)
            return
        recipients = sum(len(item.members.by_user) for item in items)
        self._bytes += size
        self._backlog.enter(recipients)
        self._rows.put_nowait(_Waiting(row, items, time.perf_counter(), size, recipients))

    async def run(self) -> None:
        while (first := await self._rows.get()) is not None:
            if (pause_s := self._next_at - time.perf_counter()) > 0:
                await asyncio.sleep(pause_s)
            self._next_at = time.perf_counter() + PAUSE_S
            rows = [first, *self._behind(first)]
            self._queued.set(self._rows.qsize())
            for row in rows:
                await self._slots.acquire()
                self._bytes -= row.size
            await self._publish(rows)
        if self._unconfirmed:
            await asyncio.wait(self._unconfirmed)

    def stop(self) -> None:
        """Rows that were submitted before are still spread."""
        self._rows.put_nowait(None)

    def _behind(self, first: _Waiting) -> Iterator[_Waiting]:
        """The rows that are published with the first."""
        recipients = first.recipients
        while recipients < RECIPIENTS_AT_ONCE and not self._rows.empty():
            row = self._rows.get_nowait()
            if row is None:
                self.stop()  # once more, for `run` to see it
                return
            recipients += max(1, row.recipients)
            yield row

    async def _publish(self, rows: Sequence[_Waiting]) -> None:
        crash_point("publishing")
        items = [item for row in rows for item in row.items]
        try:
            before = await self._barrier.committed(self._publisher.confirm_s)
            receipt = await self._publisher.enqueue(records_of(items, self.partitions))
        except Unavailable as error:
            self._give_up(rows, error)
            return
        task = asyncio.create_task(self._confirm(rows, receipt, before))
        self._unconfirmed.add(task)
        task.add_done_callback(self._unconfirmed.discard)

    async def _confirm(self, rows: Sequence[_Waiting], receipt: Receipt, before: Offsets) -> None:
        try:
            confirmed = await receipt.confirmed()
        except Unavailable as error:
            self._give_up(rows, error)
            return
        crash_point("published")
        recipients = sum(row.recipients for row in rows)
        self._barrier.confirmed([row.row.row_id for row in rows], confirmed, before, recipients)
        for row in rows:
            self._slots.release()
            SPREAD_S.observe(time.perf_counter() - row.since)

    def _give_up(self, rows: Sequence[_Waiting], error: Unavailable) -> None:
        for row in rows:
            self._slots.release()
            self._backlog.leave(row.recipients)
            logger().warning("left a row to the relay", row=str(row.row.row_id), error=error.message)
            self._lease.give_up(row.row)
