"""The barrier that empties the outbox: a row goes when the inbox consumers have committed past every
record of it, that is, when all its messages are in their recipients' timelines."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

from domain.errors import RingpostError
from infra.kafka.clients import Offsets, Progress
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES
from infra.mongo.outbox import OutboxStore, Row
from infra.settings import OutboxSettings
from infra.telemetry.logs import logger
from infra.telemetry.names import OUTBOX_ROWS, QUEUE

TRACKED_ROWS = 500_000


class _Epoch:
    """Rows confirmed between two looks, and the offsets that must be committed for all of them."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.upto: Offsets = {}

    def passed(self, committed: Offsets) -> bool:
        return all(committed.get(partition, 0) > offset for partition, offset in self.upto.items())


class Barrier:
    """The outbox rows of this process, from their writing to their removal.

    Holds a lease while it runs; when the process is gone, or gives rows up, the relay has them.
    """

    name = "barrier"

    def __init__(self, outbox: OutboxStore, inbox: Progress, settings: OutboxSettings) -> None:
        self.owner = secrets.token_hex(6)
        self._outbox = outbox
        self._inbox = inbox
        self._settings = settings
        self._written = 0
        self._open = _Epoch()
        self._epochs: list[_Epoch] = []
        self._tracked = 0
        self._given_up: list[str] = []
        self._stopping = asyncio.Event()

    def new_row_id(self) -> str:
        self._written += 1
        return f"{self.owner}:{self._written:012d}"

    async def write(self, row: Row) -> None:
        """Durable when it returns. Raises Unavailable; then the row is given up, in case it was written."""
        try:
            await self._outbox.add(self.owner, row)
        except RingpostError:
            self.give_up(row.row_id)
            raise

    def confirmed(self, row_id: str, records: Iterable[Confirmed]) -> None:
        """Kafka has all records of the row; it goes once inbox has committed past them."""
        if self._tracked >= TRACKED_ROWS:
            self.give_up(row_id)
            return
        upto = self._open.upto
        for topic, partition, offset in records:
            if topic == DELIVERIES and offset > upto.get(partition, -1):
                upto[partition] = offset
        self._open.rows.append(row_id)
        self._tracked += 1

    def give_up(self, row_id: str) -> None:
        """Leave the row to the relay: not spread, or not known to be."""
        self._given_up.append(row_id)

    async def adopt(self, beside: int) -> list[Row]:
        """Take over rows that nobody alive looks after: a batch, less the `beside` that are under way."""
        await self._outbox.forget_publishers()
        OUTBOX_ROWS.set(await self._outbox.count())
        room = self._settings.batch - beside
        return await self._outbox.adopt(self.owner, room) if room > 0 else []

    @property
    def scan_s(self) -> float:
        return self._settings.scan_s

    async def open_lease(self) -> None:
        """Call before the first row is written."""
        await self._outbox.renew_lease(self.owner, self._settings.lease_s)

    async def run(self) -> None:
        while not self._stopping.is_set():
            await self._pause()
            await self.step()
        await self.step()
        try:
            await self._outbox.end_lease(self.owner)
        except RingpostError as error:
            logger().warning("lease not ended", error=error.message)

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> None:
        """Renew the lease, hand over what was given up, remove what passed; what fails is tried again."""
        try:
            await self._outbox.renew_lease(self.owner, self._settings.lease_s)
            await self._hand_over()
            await self._remove_passed()
        except RingpostError as error:
            logger().warning("outbox not looked after", error=error.message)
        QUEUE.labels("barrier").set(self._tracked)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._settings.scan_s)
        except TimeoutError:
            return

    async def _hand_over(self) -> None:
        rows, self._given_up = self._given_up, []
        if not rows:
            return
        try:
            await self._outbox.give_up(rows)
        except RingpostError:
            self._given_up += rows
            raise

    async def _remove_passed(self) -> None:
        if self._open.rows:
            self._epochs.append(self._open)
            self._open = _Epoch()
        if not self._epochs:
            return
        committed = await self._inbox.committed()
        for epoch in [epoch for epoch in self._epochs if epoch.passed(committed)]:
            await self._outbox.remove(epoch.rows)
            self._epochs.remove(epoch)
            self._tracked -= len(epoch.rows)
