"""Run services together until a signal, then down the ladder, within one deadline for all.

A service has `run()`, which works until `stop()` was called and all that it began is finished. If one fails,
all are stopped. Every failure is seen.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Protocol

from infra.tasks import ended
from infra.telemetry.logs import logger

STOP_DEADLINE_S = 8.0
"""Within which all services have to finish. `ringpost up` and the Compose file wait longer for a process."""

LEAST_S = 0.5
"""What a service has at least, if those before it took all of that."""


class Service(Protocol):
    """Something that runs until told to stop."""

    name: str

    async def run(self) -> None:
        """Work. Return once `stop` was called and everything begun is finished."""

    def stop(self) -> None:
        """Begin nothing new. May be called any number of times, also before `run`."""


async def run_services(services: Sequence[Service], stopping: asyncio.Event | None = None) -> None:
    """Run all until SIGINT, SIGTERM, `stopping`, or the end of one of them. Then stop them in their order.

    A service that has not finished when the time for all is over is cancelled. The first failure is raised
    once all have ended.
    """
    stopping = stopping or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    tasks = [asyncio.create_task(service.run(), name=service.name) for service in services]
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        await _descend(services, tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _descend(services: Sequence[Service], tasks: Sequence[asyncio.Task[None]]) -> None:
    until = time.monotonic() + STOP_DEADLINE_S
    for service, task in zip(services, tasks, strict=True):
        service.stop()
        left_s = max(until - time.monotonic(), LEAST_S)
        done, _ = await asyncio.wait([task], timeout=left_s)
        if not done:
            logger().warning("did not stop in time", service=service.name, deadline_s=round(left_s, 1))
            await ended([task])
        elif not task.cancelled() and task.exception() is not None:
            logger().error("service failed", service=service.name, error=repr(task.exception()))
