"""The loop under every consumer: in batches, in order per partition. It commits finished work only."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from consumers.dead_letter import DeadLetters
from domain.errors import RingpostError, Unavailable
from infra.crash import crash_point
from infra.kafka.clients import Log, Offsets
from infra.kafka.reader import LogRecord, Reader
from infra.retry import backoff_s
from infra.settings import WorkerSettings
from infra.telemetry.logs import logger
from infra.telemetry.names import RETRIES, WORKER_LAG

Event = TypeVar("Event")
POLL_MS = 200


class Taken(NamedTuple, Generic[Event]):
    """One decoded record."""

    partition: int
    event: Event


class Handler(Protocol[Event]):
    """The work of one consumer."""

    group: str
    topic: str

    def decode(self, value: bytes) -> Event:
        """Raises ValueError (or a subclass) for a record that can never be processed."""

    async def handle(self, batch: Sequence[Taken[Event]]) -> Awaitable[object] | None:
        """Do the work, in the order of the batch. The same records may come again.

        Returns None when all is done, or an awaitable that ends when it is. Unavailable means: try again
        later. Any other error means that one of the records is poison.
        """


class _Begun(NamedTuple):
    """A batch whose work has begun.

    `finish` is still to be awaited, `first` is where the batch begins in each partition, and `offsets` may
    be committed once it is finished.
    """

    finish: asyncio.Future[object] | None
    first: Offsets
    offsets: Offsets
    records: int


class Loop(Generic[Event]):
    """Runs one handler as a member of its group.

    It handles each record at least once, in order per partition. After a transient fault it tries again in
    place, with a growing wait. Poison goes to the dead letter topic, and its partition moves on. At most
    `in_flight` records are unfinished. On stop and on revoke it finishes and commits what it has begun.
    """

    def __init__(
        self, log: Log, handler: Handler[Event], letters: DeadLetters, settings: WorkerSettings
    ) -> None:
        self.name = handler.group
        self.moves = 0
        """Grows with each batch finished, each try, each change of partitions."""
        self._handler = handler
        self._letters = letters
        self._settings = settings
        self._reader = Reader(log, handler.group, handler.topic, settings.session_s)
        self._beginning = False
        self._begun: deque[_Begun] = deque()
        self._finished: Offsets = {}
        self._committed_at = 0.0
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        await self._reader.open(self.revoked)
        try:
            while not self._stopping.is_set():
                await self.step()
            async with self._busy:
                await self._finish_all()
        finally:
            await self._reader.close()

    async def check_joined(self) -> None:
        """For the health of the process: Unavailable while the group has not let us in."""
        if not self._reader.joined:
            raise Unavailable(f"The group {self.name} has not let this worker in yet.")

    async def has_work(self) -> bool:
        """Whether our partitions hold records that are not finished. Raises Unavailable."""
        return self._beginning or bool(self._begun) or await self._reader.lags()

    def stop(self) -> None:
        self._stopping.set()
        self._leaving.set()

    async def step(self) -> None:
        """Take one batch, after a short wait if need be, begin its work, and commit if it is time."""
        async with self._busy:
            records = await self._take()
            if records:
                self._beginning = True
                await self._begin(records)
                self._beginning = False
            while self._begun and (self._oldest_done() or self._in_flight() > self._settings.in_flight):
                await self._finish_oldest()
            if time.monotonic() - self._committed_at > self._settings.commit_s:
                await self._commit()

    async def _take(self) -> list[LogRecord]:
        """The next batch. Empty when told to leave: Kafka may hold records back until the rebalance is over,
        and the rebalance waits for us."""
        taking = asyncio.create_task(self._reader.take(self._settings.batch, POLL_MS))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({taking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            taking.cancel()
            leaving.cancel()
        await asyncio.wait({taking})
        return [] if taking.cancelled() else taking.result()

    def _oldest_done(self) -> bool:
        finish = self._begun[0].finish
        return finish is None or finish.done()

    def _in_flight(self) -> int:
        return sum(begun.records for begun in self._begun)

    async def _begin(self, records: Sequence[LogRecord]) -> None:
        good = []
        for record in records:
            try:
                good.append((record, Taken(record.partition, self._handler.decode(record.value))))
            except ValueError as error:
                if not await self._bury(record, error):
                    return
        finish = await self._patiently(good)
        if finish is not _ABANDONED:
            first = {record.partition: record.offset for record in reversed(records)}
            offsets = {record.partition: record.offset + 1 for record in records}
            future = None if finish is None else asyncio.ensure_future(finish)
            self._begun.append(_Begun(future, first, offsets, len(records)))

    async def _patiently(self, batch: Sequence[tuple[LogRecord, Taken[Event]]]) -> Any:
        """The handler's answer, after as many tries as needed. _ABANDONED when told to leave."""
        waits = backoff_s()
        while True:
            try:
                return await self._handler.handle([taken for _, taken in batch]) if batch else None
            except Unavailable as error:
                if not await self._wait(next(waits), error):
                    return _ABANDONED
            except (RingpostError, ValueError, LookupError, TypeError, AssertionError) as error:
                return await self._isolate(batch, error)

    async def _isolate(self, batch: Sequence[tuple[LogRecord, Taken[Event]]], error: Exception) -> Any:
        """Find the poison by halving the batch, and handle all other records."""
        if len(batch) == 1:
            return None if await self._bury(batch[0][0], error) else _ABANDONED
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not await self._wholly(half):
                return _ABANDONED
        return None

    async def _wholly(self, batch: Sequence[tuple[LogRecord, Taken[Event]]]) -> bool:
        """Handle a batch and wait until it is finished. False when told to leave."""
        waits = backoff_s()
        while (finish := await self._patiently(batch)) is not _ABANDONED:
            try:
                if finish is not None:
                    await finish
                return True
            except Unavailable as error:
                if not await self._wait(next(waits), error):
                    break
        return False

    async def _bury(self, record: LogRecord, error: Exception) -> bool:
        """Put a record on the dead letter topic. False when told to leave before that was possible."""
        waits = backoff_s()
        while True:
            try:
                await self._letters.bury(self._handler.topic, self.name, record, error)
                return True
            except Unavailable as fault:
                if not await self._wait(next(waits), fault):
                    return False

    async def _wait(self, wait_s: float, error: RingpostError) -> bool:
        """Pause before the next try. False when it is time to leave instead."""
        RETRIES.labels(self.name).inc()
        self.moves += 1
        logger().warning("will try again", error=error.message, wait_s=round(wait_s, 3))
        try:
            await asyncio.wait_for(self._leaving.wait(), wait_s)
        except TimeoutError:
            return True
        return False

    async def _finish_oldest(self) -> None:
        """Wait for the oldest batch. If it fails, all unfinished records are read again."""
        begun = self._begun[0]
        try:
            if begun.finish is not None:
                await begun.finish
        except Unavailable as error:
            await self._rewind(error)
            return
        self._begun.popleft()
        self.moves += 1
        self._finished.update(begun.offsets)

    async def _rewind(self, error: Unavailable) -> None:
        """Forget the unfinished batches and read their records again. None of them may be committed."""
        first: Offsets = {}
        for begun in reversed(self._begun):
            first |= begun.first
            if begun.finish is not None:
                begun.finish.cancel()
        self._begun.clear()
        self._reader.rewind(first)
        await self._wait(1.0, error)

    async def _finish_all(self) -> None:
        while self._begun:
            await self._finish_oldest()
        await self._commit()

    async def _commit(self) -> None:
        """Commit what is finished. A failure is not fatal: the records are read again later."""
        self._committed_at = time.monotonic()
        offsets, self._finished = self._finished, {}
        if offsets:
            crash_point("committing")
        try:
            await self._reader.commit(offsets)
            WORKER_LAG.labels(self.name).set(await self._reader.behind() + self._in_flight())
        except Unavailable as error:
            self.moves += 1
            logger().warning("could not commit offsets", error=error.message)

    async def revoked(self) -> None:
        """Finish and commit what was begun, before another member takes over."""
        self.moves += 1
        self._leaving.set()
        try:
            async with self._busy:
                await self._finish_all()
        finally:
            if not self._stopping.is_set():
                self._leaving.clear()


_ABANDONED: Any = object()
