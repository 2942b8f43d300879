"""Identical reads at the same time become one read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

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
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key, self._under_way.get(key)))
            task.add_done_callback(_see_error)
            self._next[key] = task
        return await asyncio.shield(task)

    async def _run(self, key: Key, before: asyncio.Task[Value] | None) -> Value:
        """The read, once the one before it has ended. Whoever asks from then on gets another one."""
        if before is not None:
            await asyncio.wait([before])
        self._under_way[key] = self._next.pop(key)
        try:
            return await self._read(key)
        finally:
            del self._under_way[key]


def _see_error(task: asyncio.Task[Any]) -> None:
    """asyncio logs an error that nobody has seen, and everybody who asked may have gone away."""
    if not task.cancelled():
        task.exception()
