"""Notices a consumer that keeps its place in the group and makes no progress."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from consumers.loop import Loop
from domain.errors import Unavailable
from infra.telemetry.logs import logger

LOOKS = 6
"""How often it looks within the time after which a consumer counts as stalled."""


class Stalled(Exception):
    """A consumer has work and makes no progress. Its process must be started again."""


class Watchdog:
    """Fails, and so ends its process, when a consumer with work has not moved for `stall_s`.

    A consumer that waits for an engine and tries again counts as moving. One without work need not move.
    """

    name = "watchdog"

    def __init__(self, watched: Loop[Any], stall_s: float) -> None:
        self._watched = watched
        self._stall_s = stall_s
        self._moves = watched.moves
        self._moved_at = time.monotonic()
        self._stalled = False
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._stall_s / LOOKS)
            await self.step()

    def stop(self) -> None:
        self._stopping.set()

    def alive(self) -> str:
        """For the health of the process: `ok`, or a sentence that says what is wrong."""
        return f"{self._watched.name} has work and gets nowhere" if self._stalled else "ok"

    async def step(self) -> None:
        """One look. Raises Stalled."""
        if self._watched.moves != self._moves or not await self._has_work():
            self._moves = self._watched.moves
            self._moved_at = time.monotonic()
        elif time.monotonic() - self._moved_at > self._stall_s:
            self._stalled = True
            logger().error("no progress", consumer=self._watched.name, stall_s=self._stall_s)
            raise Stalled(f"{self._watched.name} has not moved for {self._stall_s:.0f} s.")

    async def _has_work(self) -> bool:
        try:
            async with asyncio.timeout(self._stall_s / LOOKS):
                return await self._watched.has_work()
        except (Unavailable, TimeoutError):
            return False
