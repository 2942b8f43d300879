"""The barrier that empties the outbox: a row goes when the inbox consumers have committed past every
record of it, that is, when all its messages are in their recipients' timelines."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress

from domain.clock import now_ms
from domain.errors import Overloaded, RingpostError, Unavailable
from infra.crash import crash_point
from infra.kafka.clients import Look, Offsets, Progress
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES
from infra.mongo.messages import Place
from infra.mongo.outbox import OutboxStore, Row
from infra.settings import OutboxSettings
from infra.telemetry.logs import logger
from infra.telemetry.names import OUTBOX_ROWS, QUEUE, RESPREAD

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

    Holds a lease while it runs; when the process is gone, or gives rows up, the relay has them. A row
    is given up, and so spread again, also when Kafka may have lost what it had confirmed: the cluster,
    the topic or a partition's leader is not what it was, or the group's offsets lie beyond the log.
    """

    name = "barrier"

    def __init__(
        self, outbox: OutboxStore, inbox: Progress, settings: OutboxSettings, owner_prefix: str = ""
    ) -> None:
        self.owner = owner_prefix + secrets.token_hex(6)
        self.detour = False
        """Whether rows go by way of the relay, so that they arrive behind those that wait for it."""
        self._outbox = outbox
        self._inbox = inbox
        self._settings = settings
        self._written = 0
        self._rows = 0
        self._look: Look | None = None
        self._open = _Epoch()
        self._epochs: list[_Epoch] = []
        self._tracked = 0
        self._given_up: list[str] = []
        self._stopping = asyncio.Event()

    def new_row_id(self) -> str:
        """Ids rise with time, so that the relay spreads what waits for it in its order."""
        self._written += 1
        return f"{now_ms():013d}.{self.owner}.{self._written}"

    def check_room(self) -> None:
        """Raises Overloaded when the outbox is as full as it may be."""
        if self._rows >= self._settings.rows:
            raise Overloaded("Too many messages are waiting for Kafka.")

    async def write(self, row: Row) -> None:
        """Durable when it returns. Raises Unavailable; then the row is given up, in case it was written."""
        try:
            await self._outbox.add(self.owner, row)
        except RingpostError:
            self.give_up(row.row_id)
            raise
        self._rows += 1

    def confirmed(self, row_id: str, records: Iterable[Confirmed]) -> None:
        """Kafka has all records of the row; it goes once inbox has committed past them."""
        mine = [(partition, offset) for topic, partition, offset in records if topic == DELIVERIES]
        if self._tracked >= TRACKED_ROWS or any(self._committed_already(*place) for place in mine):
            self.give_up(row_id)
            return
        upto = self._open.upto
        for partition, offset in mine:
            upto[partition] = max(offset, upto.get(partition, -1))
        self._open.rows.append(row_id)
        self._tracked += 1

    def _committed_already(self, partition: int, offset: int) -> bool:
        """Committed before it was written: the offset is one of a log that is no more."""
        return self._look is not None and offset < self._look.committed.get(partition, 0)

    def give_up(self, row_id: str) -> None:
        """Leave the row to the relay: not spread, or not known to be. Those after it go the same way."""
        self._given_up.append(row_id)
        self.detour = True

    async def narrow(self, row_id: str, places: Sequence[Place]) -> None:
        """Of what the row announced only this will ever be there: the rest was refused."""
        if not places:
            self.confirmed(row_id, [])
            return
        with suppress(RingpostError):  # then the relay, should it get the row, waits for the rest in vain
            await self._outbox.narrow(row_id, places)

    async def adopt(self) -> list[Row]:
        """Take over a batch of rows that nobody alive looks after."""
        await self._outbox.forget_publishers()
        OUTBOX_ROWS.set(await self._outbox.count())
        return await self._outbox.adopt(self.owner, self._settings.batch)

    async def take_turn(self) -> bool:
        """Whether this relay, and no other, may spread until the next call."""
        return await self._outbox.take_turn(self.owner, self._settings.lease_s)

    async def end_turn(self) -> None:
        await self._outbox.end_turn(self.owner)

    async def mark_spread(self, row_ids: Sequence[str]) -> None:
        """The relay is through with these rows; they wait for the inbox consumers."""
        await self._outbox.mark_spread(self.owner, row_ids)

    @property
    def scan_s(self) -> float:
        return self._settings.scan_s

    async def open_lease(self) -> None:
        """Call before the first row is written. Raises Unavailable."""
        with suppress(Unavailable):  # Kafka may come later
            self._look = await self._inbox.look()
        await self._outbox.renew_lease(self.owner, self._settings.lease_s)

    async def run(self) -> None:
        while not self._stopping.is_set():
            await self._pause()
            await self.step()
        await self.step()
        try:
            await self._outbox.end_lease(self.owner)
        except RingpostError as error:
            logger().warning("could not end the lease", error=error.message)

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> None:
        """Renew the lease, hand over what was given up, remove what passed; what fails is tried again."""
        try:
            await self._outbox.renew_lease(self.owner, self._settings.lease_s)
            self._rows = await self._outbox.count()
            await self._hand_over()
            await self._remove_passed()
        except RingpostError as error:
            logger().warning("could not look after the outbox", error=error.message)
        QUEUE.labels("barrier").set(self._tracked)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._settings.scan_s)
        except TimeoutError:
            return

    async def _hand_over(self) -> None:
        """Give the relay what is its own; once it is through with everything, the direct way is open."""
        rows, self._given_up = self._given_up, []
        try:
            if rows:
                await self._outbox.give_up(rows)
            elif self.detour:
                behind = await self._outbox.relay_is_behind()
                self.detour = behind or bool(self._given_up)
        except RingpostError:
            self._given_up += rows
            raise

    async def _remove_passed(self) -> None:
        if not self._tracked and not self.detour and self._look is not None:
            return
        look = await self._inbox.look()
        if self._look is None or look.fingerprint != self._look.fingerprint:
            self._spread_again()
        self._look = look
        if self._open.rows:
            self._epochs.append(self._open)
            self._open = _Epoch()
        for epoch in [epoch for epoch in self._epochs if epoch.passed(look.committed)]:
            crash_point("removing")
            await self._outbox.remove(epoch.rows)
            self._epochs.remove(epoch)
            self._tracked -= len(epoch.rows)

    def _spread_again(self) -> None:
        """Nothing that was confirmed before this look is known to be in the log still."""
        rows = [row for epoch in (*self._epochs, self._open) for row in epoch.rows]
        if rows or self._look is not None:  # at a first start there is nothing that Kafka could have lost
            logger().warning("Kafka may have lost records", rows=len(rows))
        RESPREAD.inc(len(rows))
        for row in rows:
            self.give_up(row)
        self._epochs, self._open, self._tracked = [], _Epoch(), 0
