"""Spread: publishes the records of stored messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from domain.errors import Unavailable
from infra.crash import crash_point
from infra.kafka.publisher import Publisher, Receipt
from infra.telemetry.logs import logger
from infra.telemetry.names import QUEUE, SPREAD_S
from producers.barrier import Barrier
from producers.records import Spreadable, records_of

WAITING_ROWS = 10_000
UNCONFIRMED_ROWS = 2_000


class Spreader:
    """Publishes row after row, in the order of `submit`, and tells the barrier how each ended.

    It gives a row up to the relay if Kafka does not take it in time, or if the queue has no place for it.
    The rows behind it go the same way until the relay has spread everything. So nothing is lost, no row
    overtakes another, and no sender waits for Kafka. While `partitions` is 0, the number of inbox
    partitions is unknown, and every row is given up.
    """

    name = "spreader"

    def __init__(self, publisher: Publisher, barrier: Barrier, partitions: int) -> None:
        self._publisher = publisher
        self._barrier = barrier
        self.partitions = partitions
        self._rows: asyncio.Queue[tuple[str, Sequence[Spreadable], float] | None] = asyncio.Queue()
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(UNCONFIRMED_ROWS)

    def submit(self, row_id: str, items: Sequence[Spreadable]) -> None:
        """Spread the messages of one outbox row, after those of all rows submitted before."""
        if self._barrier.detour or not self.partitions or self._rows.qsize() >= WAITING_ROWS:
            self._barrier.give_up(row_id)
        else:
            self._rows.put_nowait((row_id, items, time.perf_counter()))

    async def run(self) -> None:
        while (row := await self._rows.get()) is not None:
            QUEUE.labels("spread").set(self._rows.qsize())
            await self._publish(*row)
        if self._unconfirmed:
            await asyncio.wait(self._unconfirmed)

    def stop(self) -> None:
        """Rows that were submitted before are still spread."""
        self._rows.put_nowait(None)

    async def _publish(self, row_id: str, items: Sequence[Spreadable], since: float) -> None:
        await self._slots.acquire()
        if self._barrier.detour:
            self._slots.release()
            self._barrier.give_up(row_id)
            return
        crash_point("publishing")
        records = records_of(items, self.partitions)
        try:
            receipt = await self._publisher.enqueue(records)
        except Unavailable as error:
            self._slots.release()
            self._give_up(row_id, error)
            return
        task = asyncio.create_task(self._confirm(row_id, receipt, since))
        self._unconfirmed.add(task)
        task.add_done_callback(self._unconfirmed.discard)

    async def _confirm(self, row_id: str, receipt: Receipt, since: float) -> None:
        try:
            confirmed = await receipt.confirmed()
            crash_point("published")
            self._barrier.confirmed(row_id, confirmed)
            SPREAD_S.observe(time.perf_counter() - since)
        except Unavailable as error:
            self._give_up(row_id, error)
        finally:
            self._slots.release()

    def _give_up(self, row_id: str, error: Unavailable) -> None:
        logger().warning("left a row to the relay", row=row_id, error=error.message)
        self._barrier.give_up(row_id)
