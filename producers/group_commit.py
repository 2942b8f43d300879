"""Many callers, one write: whoever comes while a flush is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from domain.errors import Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Batches around one callable; each caller gets its own result or error.

    `flush` takes up to `limit` items, in the order in which they were added, and returns a result or
    an exception for each; up to `in_flight` flushes run at once. Nobody waits for a batch to fill:
    a free flush takes what is there. More than `waiting` items waiting: Overloaded.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        limit: int = 256,
        in_flight: int = 2,
        waiting: int = 5000,
    ) -> None:
        self._flush = flush
        self._limit = limit
        self._in_flight = in_flight
        self._most_waiting = waiting
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def __len__(self) -> int:
        """How many items wait for a flush."""
        return len(self._waiting)

    async def add(self, item: Item) -> Result:
        """Returns once the whole batch is flushed. A caller that goes away does not stop the flush."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded("Too many messages wait to be stored.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._running) < self._in_flight:
            batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _run(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # the caller went away
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def drain(self) -> None:
        """Returns when nothing waits and nothing runs."""
        while self._waiting or self._running:
            await asyncio.sleep(0)
            if self._running:
                await asyncio.wait(self._running)
