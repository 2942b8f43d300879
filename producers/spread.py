"""Spread: a stored message becomes one record for each inbox partition in which it has recipients,
and one on `messages` for observers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from domain.conversations import Members
from domain.errors import Unavailable
from domain.events import Delivery, encode
from infra.crash import crash_point
from infra.kafka.publisher import Publisher, Receipt, Record
from infra.kafka.topics import DELIVERIES, MESSAGES
from infra.telemetry.logs import logger
from infra.telemetry.names import QUEUE, SPREAD_S
from producers.barrier import Barrier

WAITING_ROWS = 10_000
UNCONFIRMED_ROWS = 2_000
RECIPIENTS = 5_000
"""The most recipients in one record. With the largest message it stays well below Kafka's limit."""


class Spreadable(NamedTuple):
    """A stored message with the member list at its number."""

    members: Members
    seq: int
    message: bytes


def records_of(item: Spreadable, partitions: int) -> list[Record]:
    """The records for one message. Every process computes the same, at any time."""
    conversation = item.members.conversation_id
    message = Raw(item.message)
    records = [
        Record(
            DELIVERIES,
            partition,
            b"%d" % partition,
            encode(Delivery(conversation, item.seq, tuple(users[start : start + RECIPIENTS]), message)),
        )
        for partition, users in item.members.recipients(item.seq, partitions).items()
        for start in range(0, len(users), RECIPIENTS)
    ]
    records.append(Record(MESSAGES, None, conversation.encode(), item.message))
    return records


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
        records = [record for item in items for record in records_of(item, self.partitions)]
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
