"""A breaker keeps callers from waiting for an engine that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from domain.errors import Unavailable
from infra.tasks import ended
from infra.telemetry.logs import logger
from infra.telemetry.names import BREAKER_OPEN

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5


class Breaker:
    """Closed while the engine answers, else open.

    A call that got no answer opens it. An error reply is an answer. While the breaker is open, calls fail at
    once and one task asks the engine again and again. The first answer closes it.
    """

    def __init__(self, engine: str, probe: Callable[[], Awaitable[object]]) -> None:
        """`probe` asks the engine once. It must end, and raises Unavailable if there is no answer."""
        self._engine = engine
        self._probe = probe
        self._reason: Unavailable | None = None
        self._probing: asyncio.Task[None] | None = None
        BREAKER_OPEN.labels(engine).set(0)

    def check(self) -> None:
        """Raises Unavailable at once while the breaker is open."""
        if self._reason is not None:
            raise Unavailable(self._reason.message, nothing_done=True)

    def open(self, reason: Unavailable) -> None:
        """The engine did not answer. The first report starts the probes."""
        if self._reason is not None:
            return
        self._reason = reason
        BREAKER_OPEN.labels(self._engine).set(1)
        logger().warning("an engine does not answer", engine=self._engine, error=reason.message)
        self._probing = asyncio.create_task(self._probe_until_answered(), name=f"probe {self._engine}")

    async def _probe_until_answered(self) -> None:
        began, pause_s = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                await self._probe()
                break
            except Unavailable as error:
                self._reason = error
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        self._reason = None
        BREAKER_OPEN.labels(self._engine).set(0)
        away_s = round(time.monotonic() - began, 3)
        logger().info("an engine answers again", engine=self._engine, away_s=away_s)

    async def aclose(self) -> None:
        """End the probes."""
        if self._probing is not None:
            await ended([self._probing])
