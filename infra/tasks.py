"""The end of tasks that are cancelled from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

AGAIN_S = 1.0


async def ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, however they end; none of their errors is raised.

    Cancelled again every `AGAIN_S`, for one cancellation may be lost: before Python 3.12 `asyncio.wait_for`
    forgets it when what it waits for is finished in that moment (gh-86296 of CPython), and the clients of
    Redis and Kafka write by it. An endless loop around them would then never end.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen
