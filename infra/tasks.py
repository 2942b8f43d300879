"""The end of tasks that are cancelled from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

AGAIN_S = 1.0


async def ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended. None of their errors is raised.

    It cancels again every `AGAIN_S`, because a cancellation may be lost. Before Python 3.12
    `asyncio.wait_for` loses it when the awaited task ends at that moment (gh-86296 of CPython). The clients
    of Redis and Kafka use `wait_for`, so an endless loop around them might never end.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen


async def run_until(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run the work until `stopping` is set, then cancel it. If it ends before, wait on.

    Raises at once what the work raises.
    """
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await waiting
    finally:
        await ended([working, waiting])
