"""The loop under every consumer: in batches, in order per partition. It commits finished work only.

Poison is what cannot be decoded, and what a rule of ours refuses: `decode` raises ValueError or returns
Broken, and `handle` raises BadRequest. Everything else that `handle` raises is weather: an engine is away, or
refuses for a reason that may pass. The loop tries again for as long as it lasts, and buries nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol, TypeVar

from consumers.dead_letter import bury
from consumers.pace import Pace
from domain.errors import BadRequest, RingpostError, Unavailable
from domain.events import Broken
from infra.crash import crash_point
from infra.kafka.clients import Log, Offsets
from infra.kafka.publisher import Publisher
from infra.kafka.reader import LogRecord, Reader
from infra.retry import backoff_s
from infra.settings import WorkerSettings
from infra.telemetry.logs import logger
from infra.telemetry.names import RETRIES, WORKER_LAG

Event = TypeVar("Event")
POLL_MS = 200
SOON_MS = 20
"""How long to wait for records while begun work is about to be finished."""
AWAITED_S = 0.1
"""Seconds between two commits when senders wait for them."""


class Taken(NamedTuple, Generic[Event]):
    """One message of a record."""

    partition: int
    event: Event


class Handler(Protocol[Event]):
    """The work of one consumer."""

    group: str
    topic: str

    def decode(self, value: bytes) -> Sequence[Event | Broken]:
        """The messages of a record. Raises ValueError for a record that can never be processed."""

    def encode(self, event: Event) -> bytes:
        """A record of this message alone, for the dead letters."""

    async def handle(self, batch: Sequence[Taken[Event]]) -> Awaitable[object] | None:
        """Do the work, in the order of the batch. The same messages may come again.

        Returns None when all is done, or an awaitable that ends when it is. BadRequest means that one of the
        messages is poison. Any other error means: try again later.
        """


class _Begun(NamedTuple):
    """A batch whose work has begun.

    `finish` is still to be awaited, `first` is where the batch begins in each partition, and `offsets` may
    be committed once it is finished. `large`: senders wait for it.
    """

    finish: asyncio.Future[object] | None
    first: Offsets
    offsets: Offsets
    messages: int
    large: bool


class _Leaving(Exception):
    """The loop is told to stop, or its partitions go to another member: no more tries."""


class Loop(Generic[Event]):
    """Runs one handler as a member of its group.

    It handles each message at least once, in order per partition. After a fault it tries again in place, with
    a growing wait. Poison goes to the dead letter topic, alone, and its partition moves on. At most
    `in_flight` messages are unfinished. On stop and on revoke it finishes and commits what it has begun.
    """

    def __init__(
        self,
        log: Log,
        handler: Handler[Event],
        publisher: Publisher,
        settings: WorkerSettings,
        on_assigned: Callable[[list[int]], None] = lambda partitions: None,
        pace: Pace | None = None,
    ) -> None:
        """The publisher is for dead letters. `pace` is committed with the offsets, for senders to see."""
        self.name = handler.group
        self.moves = 0
        """Grows with each batch finished, each try, each change of partitions."""
        self._handler = handler
        self._publisher = publisher
        self._settings = settings
        self._reader = Reader(log, handler.group, handler.topic, settings.session_s, settings.instance)
        self._on_assigned = on_assigned
        self._pace = pace or Pace()
        self._taken: deque[LogRecord] = deque()
        self._begun: deque[_Begun] = deque()
        self._finished: Offsets = {}
        self._committing: asyncio.Task[None] | None = None
        self._committed_at = 0.0
        self._awaited = False
        self._taking: asyncio.Timeout | None = None
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        await self._reader.open(self.revoked, self._on_assigned)
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
        return bool(self._taken or self._begun) or await self._reader.lags()

    def stop(self) -> None:
        self._stopping.set()
        self._leaving.set()
        if self._taking is not None:
            self._taking.reschedule(0)

    async def step(self) -> None:
        """Take records, after a short wait if need be, begin the work of one batch, and commit if it is time.

        Partitions may change hands while it waits. What it takes belongs to those that it has then.
        """
        records = () if self._taken else await self._take()
        async with self._busy:
            self._taken.extend(records)
            if self._taken:
                with suppress(_Leaving):
                    await self._begin()
            while self._begun and (self._oldest_done() or self._unfinished() > self._settings.in_flight):
                await self._finish_oldest()
            if self._is_time_to_commit():
                await self._commit_beside()

    def _unfinished(self) -> int:
        """How many messages are begun and not finished."""
        return sum(begun.messages for begun in self._begun)

    async def _take(self) -> Sequence[LogRecord]:
        """The next records. Empty when told to stop: a rebalance may hold them back for long."""
        try:
            async with asyncio.timeout(None) as self._taking:
                return await self._reader.take(self._settings.batch, SOON_MS if self._begun else POLL_MS)
        except TimeoutError:
            return ()
        finally:
            self._taking = None

    def _oldest_done(self) -> bool:
        finish = self._begun[0].finish
        return finish is None or finish.done()

    async def _begin(self) -> None:
        """Begin the work of one batch. It has whole records, until they hold `batch` messages or more.

        Raises _Leaving. Then its records are still among those that were taken.
        """
        records: list[LogRecord] = []
        batch: list[tuple[LogRecord, Taken[Event]]] = []
        for record in self._taken:
            records.append(record)
            batch += await self._read(record)
            if len(batch) >= self._settings.batch:
                break
        finish = await self._patiently(batch)
        for _ in records:
            self._taken.popleft()
        first = {record.partition: record.offset for record in reversed(records)}
        offsets = {record.partition: record.offset + 1 for record in records}
        future = None if finish is None else asyncio.ensure_future(finish)
        self._begun.append(_Begun(future, first, offsets, len(batch), self._pace.was_large))

    async def _read(self, record: LogRecord) -> list[tuple[LogRecord, Taken[Event]]]:
        """The messages of a record. Buries those that can never be processed. Raises _Leaving."""
        value = record.value or b""
        try:
            events = self._handler.decode(value)
        except ValueError as error:
            events = [Broken(value, error)]
        messages = []
        for event in events:
            if isinstance(event, Broken):
                await self._bury(record, event)
            else:
                messages.append((record, Taken(record.partition, event)))
        return messages

    async def _patiently(self, batch: Sequence[tuple[LogRecord, Taken[Event]]]) -> Awaitable[object] | None:
        """The handler's answer, after as many tries as needed. Raises _Leaving."""
        waits = backoff_s()
        while True:
            try:
                return await self._handler.handle([taken for _, taken in batch]) if batch else None
            except BadRequest as error:
                await self._isolate(batch, error)
                return None
            except Exception as error:  # weather, whatever it is
                await self._wait(next(waits), error)

    async def _isolate(self, batch: Sequence[tuple[LogRecord, Taken[Event]]], error: BadRequest) -> None:
        """Find the poison by halving the batch, down to one message, and handle all others."""
        if len(batch) == 1:
            record, taken = batch[0]
            await self._bury(record, Broken(self._handler.encode(taken.event), error))
        else:
            middle = len(batch) // 2
            await self._wholly(batch[:middle])
            await self._wholly(batch[middle:])

    async def _wholly(self, batch: Sequence[tuple[LogRecord, Taken[Event]]]) -> None:
        """Handle a batch and wait until it is finished. Raises _Leaving."""
        for wait_s in backoff_s():
            finish = await self._patiently(batch)
            try:
                if finish is not None:
                    await finish
                return
            except Exception as error:  # weather, whatever it is
                await self._wait(wait_s, error)

    async def _bury(self, record: LogRecord, letter: Broken) -> None:
        """Put a message on the dead letter topic. Raises _Leaving if that was not possible before."""
        for wait_s in backoff_s():
            try:
                await bury(self._publisher, self._handler.topic, self.name, record, letter)
                return
            except Unavailable as fault:
                await self._wait(wait_s, fault)

    async def _wait(self, wait_s: float, error: Exception) -> None:
        """Pause before the next try. Raises _Leaving when it is time to leave instead.

        What an engine says that it does not answer is a warning. Anything else needs a person.
        """
        RETRIES.labels(self.name).inc()
        self.moves += 1
        if isinstance(error, Unavailable):
            logger().warning("will try again", error=error.message, wait_s=round(wait_s, 3))
        else:
            said = error.message if isinstance(error, RingpostError) else type(error).__name__
            logger().error("will try again", error=said, wait_s=round(wait_s, 3), exc_info=error)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), wait_s)
            raise _Leaving

    async def _finish_oldest(self) -> None:
        """Wait for the oldest batch. If it fails, all unfinished records are read again."""
        begun = self._begun[0]
        try:
            if begun.finish is not None:
                await begun.finish
        except Exception as error:  # weather, whatever it is
            await self._rewind(error)
            return
        self._begun.popleft()
        self.moves += 1
        self._finished.update(begun.offsets)
        self._awaited |= begun.large

    async def _rewind(self, error: Exception) -> None:
        """Forget the unfinished batches and read their records again. None of them may be committed."""
        first = {record.partition: record.offset for record in reversed(self._taken)}
        for begun in reversed(self._begun):
            first |= begun.first
            if begun.finish is not None:
                begun.finish.cancel()
        self._taken.clear()
        self._begun.clear()
        self._reader.rewind(first)
        with suppress(_Leaving):
            await self._wait(1.0, error)

    async def _finish_all(self) -> None:
        while self._begun:
            await self._finish_oldest()
        await self._commit_beside()
        if self._committing is not None:
            await self._committing

    def _is_time_to_commit(self) -> bool:
        """Soon if senders wait for it. Not while the commit before waits for a broker."""
        if self._committing is not None and not self._committing.done():
            return False
        pause_s = min(AWAITED_S, self._settings.commit_s) if self._awaited else self._settings.commit_s
        return time.monotonic() - self._committed_at > pause_s

    async def _commit_beside(self) -> None:
        """Begin to commit what is finished, once the commit before has ended. The work goes on meanwhile."""
        if self._committing is not None:
            await self._committing
        self._committed_at = time.monotonic()
        self._committing = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Commit what is finished. After a failure the next commit has these offsets too."""
        offsets, self._finished = self._finished, {}
        self._awaited = False
        if offsets:
            crash_point("committing")
        try:
            await self._reader.commit(offsets, self._pace.value)
            WORKER_LAG.labels(self.name).set(await self._reader.behind() + self._unfinished())
        except Unavailable as error:
            self._finished = offsets | self._finished
            self.moves += 1
            logger().warning("could not commit offsets", error=error.message)

    async def revoked(self) -> None:
        """Finish and commit what was begun, before another member takes over."""
        self.moves += 1
        self._leaving.set()
        try:
            async with self._busy:
                self._taken.clear()
                await self._finish_all()
                self._finished.clear()  # whoever has these partitions now commits later offsets
        finally:
            if not self._stopping.is_set():
                self._leaving.clear()
