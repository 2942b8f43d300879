"""Run services together until a signal, then down the ladder, with a deadline at each rung.

A service has `run()`, which works until `stop()` was called and all that it began is finished. If one fails,
all are stopped. Every failure is seen.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Protocol

from infra.tasks import ended
from infra.telemetry.logs import logger

STOP_DEADLINE_S = 10.0


class Service(Protocol):
    """Something that runs until told to stop."""

    name: str

    async def run(self) -> None:
        """Work. Return once `stop` was called and everything begun is finished."""

    def stop(self) -> None:
        """Begin nothing new. May be called any number of times, also before `run`."""


async def run_services(services: Sequence[Service], stopping: asyncio.Event | None = None) -> None:
    """Run all until SIGINT, SIGTERM, `stopping`, or the end of one of them. Then stop them in their order.

    A service that has not finished `STOP_DEADLINE_S` after its stop is cancelled. The first failure
    is raised once all have ended.
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
    for service, task in zip(services, tasks, strict=True):
        service.stop()
        done, _ = await asyncio.wait([task], timeout=STOP_DEADLINE_S)
        if not done:
            logger().warning("did not stop in time", service=service.name, deadline_s=STOP_DEADLINE_S)
            await ended([task])
        elif not task.cancelled() and task.exception() is not None:
            logger().error("service failed", service=service.name, error=repr(task.exception()))
