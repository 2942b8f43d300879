"""Many callers, one write: items that come while a flush runs share the next flush."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from domain.errors import Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    since: float


@dataclass(eq=False)
class GroupCommit(Generic[Item, Result]):
    """Batches around one callable; each caller gets its own result or error.

    `flush` takes up to `limit` items, in the order in which they were added. It returns a result or an
    exception for each. Up to `in_flight` flushes run at once, and one begins at least `pause_s` after the one
    before. So an item that comes alone does not wait, and under load a flush has more of them.
    An item is refused with Overloaded when `waiting` items are queued already, when the oldest has waited
    `queue_s`, or when it has itself waited `queue_s`. Nothing was done for it then.
    """

    flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
    limit: int = 256
    in_flight: int = 2
    waiting: int = 5000
    queue_s: float = 2.0
    pause_s: float = 0.0
    _queue: deque[_Waiting[Item, Result]] = field(default_factory=deque, init=False)
    _running: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _scheduled: bool = field(default=False, init=False)
    _next_at: float = field(default=0.0, init=False)

    def __len__(self) -> int:
        """How many items wait for a flush."""
        return len(self._queue)

    async def add(self, item: Item) -> Result:
        """Returns once the whole batch is flushed. The flush goes on if a caller goes away."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._queue) >= self.waiting or (self._queue and now - self._queue[0].since > self.queue_s):
            raise Overloaded("Too many messages are waiting to be stored.")
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append(_Waiting(item, future, now))
        self._schedule()
        return await future

    def _schedule(self) -> None:
        """Begin a flush as soon as one may begin."""
        if self._queue and not self._scheduled and len(self._running) < self.in_flight:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._next_at, loop.time()), self._start)

    def _start(self) -> None:
        self._scheduled = False
        if batch := self._take():
            self._next_at = asyncio.get_running_loop().time() + self.pause_s
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)
        self._schedule()

    def _take(self) -> list[_Waiting[Item, Result]]:
        """The next batch, without items that waited too long and without callers that went away."""
        latest = asyncio.get_running_loop().time() - self.queue_s
        batch: list[_Waiting[Item, Result]] = []
        while self._queue and len(batch) < self.limit:
            one = self._queue.popleft()
            if one.future.done():
                continue
            if one.since < latest:
                one.future.set_exception(Overloaded("The message waited too long to be stored."))
            else:
                batch.append(one)
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._schedule()

    async def _run(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        try:
            results = await self.flush([one.item for one in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue  # the caller went away
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
