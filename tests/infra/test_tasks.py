from __future__ import annotations

import asyncio

import pytest

from infra import tasks
from infra.redis.client import open_redis
from infra.redis.signals import Signals
from infra.tasks import ended, run_until
from tests.builders import keys_of, settings_for
from tests.patience import PATIENCE_S

TICKS = 40
"""More turns of the event loop than it takes to connect and subscribe."""


async def test_listener_ends_in_whichever_moment_it_is_cancelled(engines, unique, monkeypatch):
    """Python 3.11 loses a cancellation in some of them: when a write to Redis is finished just then."""
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    settings = settings_for(engines, unique)

    async def on_subscribed() -> None:
        pass

    async with open_redis(settings.redis) as client:
        signals = Signals(client, keys_of(settings))
        for ticks in range(TICKS):
            listening = asyncio.create_task(signals.listen("g1", print, on_subscribed))
            for _ in range(ticks):
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                await ended([listening])
            assert listening.done()


async def test_errors_of_what_ends_are_not_raised():
    async def fail() -> None:
        raise LookupError

    failed, waiting = asyncio.create_task(fail()), asyncio.create_task(asyncio.Event().wait())
    await asyncio.wait([failed])
    await ended([failed, waiting])
    assert isinstance(failed.exception(), LookupError)
    assert waiting.cancelled()
    await ended([])


async def test_work_is_cancelled_when_it_is_time_to_stop():
    stopping, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            stopping.set()
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(PATIENCE_S):
        await run_until(stopping, work())
    assert cancelled.is_set()


async def test_work_that_ends_before_is_followed_by_the_wait_and_its_failure_is_raised():
    stopping = asyncio.Event()

    async def work(failing: bool) -> None:
        asyncio.get_running_loop().call_soon(stopping.set)
        if failing:
            raise LookupError

    async with asyncio.timeout(PATIENCE_S):
        await run_until(stopping, work(failing=False))
        assert stopping.is_set()
        with pytest.raises(LookupError):
            await run_until(asyncio.Event(), work(failing=True))
