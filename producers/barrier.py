"""The barrier that empties the outbox. It removes a row when the inbox consumers have committed past all
of its records. Then all of its messages are in their recipients' timelines."""

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

    It holds a lease while it runs. When the process is gone, or gives rows up, the relay gets them.
    It also gives rows up, so that they are spread again, when Kafka may have lost what it had confirmed.
    It sees this when the cluster, the topic or a partition's leader changed, or when the group's offsets lie
    beyond the log.
    """

    name = "barrier"

    def __init__(
        self, outbox: OutboxStore, inbox: Progress, settings: OutboxSettings, owner_prefix: str = ""
    ) -> None:
        self.owner = owner_prefix + secrets.token_hex(6)
        self.detour = False
        """Whether rows go through the relay, so that they stay behind the rows that wait for it."""
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
        """Raises Overloaded when the outbox is full."""
        if self._rows >= self._settings.rows:
            raise Overloaded("Too many messages are waiting for Kafka.")

    async def write(self, row: Row) -> None:
        """Durable when it returns. On Unavailable it also gives the row up, because it may be written."""
        try:
            await self._outbox.add(self.owner, row)
        except RingpostError:
            self.give_up(row.row_id)
            raise
        self._rows += 1

    def confirmed(self, row_id: str, records: Iterable[Confirmed]) -> None:
        """Kafka has all records of the row. The row goes once inbox has committed past them."""
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
        """Whether an offset was committed before its record was written: it belongs to a log that is gone."""
        return self._look is not None and offset < self._look.committed.get(partition, 0)

    def give_up(self, row_id: str) -> None:
        """Leave the row to the relay: it is not spread, or may not be. The rows after it follow it."""
        self._given_up.append(row_id)
        self.detour = True

    async def narrow(self, row_id: str, places: Sequence[Place]) -> None:
        """Removes from the row the messages that MongoDB refused. `places` are those that remain."""
        if not places:
            self.confirmed(row_id, [])
            return
        with suppress(RingpostError):  # the relay then waits in vain for the rest, if it gets the row
            await self._outbox.narrow(row_id, places)

    async def adopt(self) -> list[Row]:
        """Take over a batch of rows whose process is gone or gave them up."""
        await self._outbox.forget_publishers()
        OUTBOX_ROWS.set(await self._outbox.count())
        return await self._outbox.adopt(self.owner, self._settings.batch)

    async def take_turn(self) -> bool:
        """Whether this relay may spread until the next call. No other relay may then."""
        return await self._outbox.take_turn(self.owner, self._settings.lease_s)

    async def end_turn(self) -> None:
        await self._outbox.end_turn(self.owner)

    async def mark_spread(self, row_ids: Sequence[str]) -> None:
        """The relay has spread these rows. They now wait for the inbox consumers."""
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
        """Renew the lease, hand over given-up rows, remove finished ones. Failures are tried again."""
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
        """Give the relay its rows. Once the relay has spread everything, rows go directly again."""
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
        """Give up all rows: whatever Kafka confirmed before this look may be gone from the log."""
        rows = [row for epoch in (*self._epochs, self._open) for row in epoch.rows]
        if rows or self._look is not None:  # at a first start there is nothing that Kafka could have lost
            logger().warning("Kafka may have lost records", rows=len(rows))
        RESPREAD.inc(len(rows))
        for row in rows:
            self.give_up(row)
        self._epochs, self._open, self._tracked = [], _Epoch(), 0
