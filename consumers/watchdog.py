"""Notices a consumer that keeps its place in the group and gets nowhere."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from domain.errors import Unavailable
from infra.telemetry.logs import logger

LOOKS = 6
"""How often it looks within the time after which a consumer counts as stalled."""


class Stalled(Exception):
    """A consumer has work to do and does none of it; its process is to be started again."""


class Watched(Protocol):
    name: str
    moves: int

    async def has_work(self) -> bool:
        """Raises Unavailable when nobody can tell."""


class Watchdog:
    """Ends its process, by failing, when a consumer with work to do has not moved for `stall_s`.

    A consumer that waits for an engine and tries again moves. One that has nothing to do need not.
    """

    name = "watchdog"

    def __init__(self, watched: Watched, stall_s: float) -> None:
        self._watched = watched
        self._stall_s = stall_s
        self._moves = watched.moves
        self._moved_at = time.monotonic()
        self._stalled = False
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            await self._pause()
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

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._stall_s / LOOKS)
        except TimeoutError:
            return
