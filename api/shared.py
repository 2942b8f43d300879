"""Identical reads at the same time become one read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """It runs at most two reads of a key: one in progress, and one for all callers that came after it began.

    So each caller gets the state at its call, or a newer one. An error goes to all callers that share the
    read.
    """

    def __init__(self, read: Callable[[Key], Awaitable[Value]]) -> None:
        self._read = read
        self._under_way: dict[Key, asyncio.Task[Value]] = {}
        self._next: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key) -> Value:
        """The read goes on if a caller goes away."""
        current = self._under_way.get(key)
        if current is None:
            task = self._begin(key, self._once(key))
        else:
            task = self._next.get(key) or self._following(key, current)
        return await asyncio.shield(task)

    def _begin(self, key: Key, reading: Awaitable[Value]) -> asyncio.Task[Value]:
        task = asyncio.ensure_future(reading)
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._ended(key, task))
        return task

    def _following(self, key: Key, current: asyncio.Task[Value]) -> asyncio.Task[Value]:
        async def after() -> Value:
            await asyncio.wait([current])
            del self._next[key]
            self._begin(key, task)
            return await self._read(key)

        task = asyncio.create_task(after())
        self._next[key] = task
        return task

    async def _once(self, key: Key) -> Value:
        return await self._read(key)

    def _ended(self, key: Key, task: asyncio.Task[Value]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen, also if everybody who asked has gone away
