"""The barrier that empties the outbox. It removes a row when the inbox consumers have committed past all
of its records. Then all of its messages are in their recipients' timelines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from domain.errors import RingpostError, Unavailable
from infra.crash import crash_point
from infra.kafka.clients import Look, Offsets, Progress
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES
from infra.mongo.outbox import OutboxStore
from infra.mongo.rows import RowId
from infra.retry import backoff_s
from infra.telemetry.logs import logger
from infra.telemetry.names import QUEUE, RESPREAD
from producers.backlog import Backlog
from producers.lease import Lease

TRACKED_ROWS = 500_000
HEAVY_SCAN_S = 0.1
"""Seconds between two looks while much waits for the inbox consumers."""


class _Epoch:
    """Rows confirmed between two looks, and the offsets that must be committed for all of them."""

    def __init__(self) -> None:
        self.rows: list[RowId] = []
        self.recipients = 0
        self.upto: Offsets = {}

    def passed(self, committed: Offsets) -> bool:
        return all(committed.get(partition, 0) > offset for partition, offset in self.upto.items())


class Barrier:
    """Looks from time to time how far the inbox consumers are, and looks after the lease.

    It gives rows up, so that they are spread again, when Kafka may have lost what it had confirmed. It sees
    this when the cluster, the topic or a partition's leader changed, or when the group's offsets lie beyond
    the log.
    """

    name = "barrier"

    def __init__(
        self, outbox: OutboxStore, inbox: Progress, lease: Lease, backlog: Backlog, scan_s: float
    ) -> None:
        self._outbox = outbox
        self._backlog = backlog
        self._inbox = inbox
        self._lease = lease
        self._scan_s = scan_s
        self._look: Look | None = None
        self._open = _Epoch()
        self._epochs: list[_Epoch] = []
        self._tracked = 0
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        """How many rows wait for the inbox consumers."""
        return self._tracked

    async def committed(self, within_s: float = 0.0) -> Offsets:
        """What was committed at the last look. Ask before records are handed to Kafka.

        Waits for the first look, up to `within_s`. Raises Unavailable. Right after the start of Kafka it may
        take records some seconds before it knows what is committed.
        """
        waits = backoff_s(0.05, 0.5)
        until = asyncio.get_running_loop().time() + within_s
        while self._look is None:
            try:
                self._look = await self._inbox.look()
            except Unavailable:
                wait = next(waits)
                if asyncio.get_running_loop().time() + wait > until:
                    raise
                await asyncio.sleep(wait)
        return self._look.committed

    def confirmed(
        self, rows: Sequence[RowId], records: Iterable[Confirmed], before: Offsets, recipients: int = 0
    ) -> None:
        """Kafka has all records of these rows. The rows go once inbox has committed past them.

        Their recipients, which have entered the backlog, then leave it. `before` is what was committed before
        the records were handed over. An offset below it belongs to a log that is gone.
        """
        mine = [(partition, offset) for topic, partition, offset in records if topic == DELIVERIES]
        if self._tracked >= TRACKED_ROWS or any(o < before.get(p, 0) for p, o in mine):
            self._lease.give_up_written(rows)
            self._backlog.leave(recipients)
            return
        upto = self._open.upto
        for partition, offset in mine:
            upto[partition] = max(offset, upto.get(partition, -1))
        self._open.rows += rows
        self._open.recipients += recipients
        self._tracked += len(rows)

    async def run(self) -> None:
        soon_s = HEAVY_SCAN_S
        while not self._stopping.is_set():
            await self._until_next_look(min(soon_s, self._scan_s))
            soon_s = HEAVY_SCAN_S if await self.step() else self._scan_s
        await self._lease.end()

    def stop(self) -> None:
        self._stopping.set()
        self._backlog.heavy.set()  # it wakes who waits for the next look

    async def _until_next_look(self, soon_s: float) -> None:
        """In `scan_s`; when much waits, sooner, but not before `soon_s`."""
        for event, within_s in ((self._stopping, soon_s), (self._backlog.heavy, self._scan_s - soon_s)):
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await event.wait()
            if self._stopping.is_set():
                return

    async def step(self) -> bool:
        """Look after the lease, and remove finished rows. Returns False if an engine did not answer: what
        failed is tried again with the next step.
        """
        answered = True
        try:
            await self._lease.look_after()
            if self._tracked:
                await self._remove_passed()
        except RingpostError as error:
            answered = False
            logger().warning("could not look after the outbox", error=error.message)
        QUEUE.labels("barrier").set(self._tracked)
        return answered

    async def _remove_passed(self) -> None:
        look = await self._inbox.look()
        if self._look is not None and look.fingerprint != self._look.fingerprint:
            self._spread_again()
        self._look = look
        if self._open.rows:
            self._epochs.append(self._open)
            self._open = _Epoch()
        passed = [epoch for epoch in self._epochs if epoch.passed(look.committed)]
        self._backlog.served(sum(epoch.recipients for epoch in passed), look.pace)
        for epoch in passed:
            epoch.recipients = 0  # its rows may have to be removed once more
        if passed:
            crash_point("removing")
            await self._outbox.remove([row for epoch in passed for row in epoch.rows])
            self._epochs = [epoch for epoch in self._epochs if epoch not in passed]
            self._tracked -= sum(len(epoch.rows) for epoch in passed)

    def _spread_again(self) -> None:
        """Give up all rows: whatever Kafka confirmed before this look may be gone from the log."""
        rows = [row for epoch in (*self._epochs, self._open) for row in epoch.rows]
        logger().warning("Kafka may have lost records", rows=len(rows))
        RESPREAD.inc(len(rows))
        self._lease.give_up_written(rows)
        self._backlog.leave(sum(epoch.recipients for epoch in (*self._epochs, self._open)))
        self._epochs, self._open, self._tracked = [], _Epoch(), 0
