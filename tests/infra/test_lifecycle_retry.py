from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from itertools import islice

import pytest

from infra import lifecycle, tasks
from infra.lifecycle import run_services
from infra.retry import backoff_s
from tests.patience import PATIENCE_S


class Worker:
    """Notes its end in `log`; one that is stubborn does not listen to stop, one that fails raises."""

    def __init__(self, name: str, log: list[str], *, stubborn: bool = False, fails: bool = False) -> None:
        self.name = name
        self._log = log
        self._stubborn = stubborn
        self._fails = fails
        self._stopping = asyncio.Event()
        self.started = asyncio.Event()

    async def run(self) -> None:
        self.started.set()
        if self._fails:
            raise LookupError(self.name)
        await self._stopping.wait()
        self._log.append(self.name)

    def stop(self) -> None:
        if not self._stubborn:
            self._stopping.set()


async def test_services_stop_in_their_order():
    log, stopping = [], asyncio.Event()
    stopping.set()
    await run_services([Worker(name, log) for name in "abc"], stopping)
    assert log == ["a", "b", "c"]


async def test_signal_stops_all():
    log: list[str] = []
    workers = [Worker(name, log) for name in "ab"]
    running = asyncio.create_task(run_services(workers))
    await asyncio.gather(*(worker.started.wait() for worker in workers))
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert log == ["a", "b"]


async def test_service_that_fails_stops_all_and_is_raised():
    log: list[str] = []
    with pytest.raises(LookupError, match="bad"):
        await run_services([Worker("a", log), Worker("bad", log, fails=True), Worker("c", log)])
    assert log == ["a", "c"]


async def test_service_that_does_not_stop_is_cancelled_at_its_deadline(monkeypatch):
    monkeypatch.setattr(lifecycle, "STOP_DEADLINE_S", 0.05)
    log, stopping = [], asyncio.Event()
    stopping.set()
    await run_services([Worker("a", log, stubborn=True), Worker("b", log)], stopping)
    assert log == ["b"]


async def test_services_that_do_not_stop_share_one_deadline(monkeypatch):
    monkeypatch.setattr(lifecycle, "STOP_DEADLINE_S", 2.0)
    monkeypatch.setattr(lifecycle, "LEAST_S", 0.01)
    log, stopping = [], asyncio.Event()
    stopping.set()
    stubborn = [Worker("a", log, stubborn=True) for _ in range(int(PATIENCE_S))]
    async with asyncio.timeout(PATIENCE_S):
        await run_services([*stubborn, Worker("b", log)], stopping)
    assert log == ["b"]


class Forgetful:
    """Works for ever, and forgets that it was cancelled the first time."""

    name = "forgetful"

    async def run(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    def stop(self) -> None:
        pass


async def test_service_that_forgets_its_cancellation_is_cancelled_again(monkeypatch):
    monkeypatch.setattr(lifecycle, "STOP_DEADLINE_S", 0.05)
    monkeypatch.setattr(tasks, "AGAIN_S", 0.05)
    log, stopping = [], asyncio.Event()
    stopping.set()
    async with asyncio.timeout(PATIENCE_S):
        await run_services([Forgetful(), Worker("b", log)], stopping)
    assert log == ["b"]


def test_waits_are_random_below_a_bound_that_doubles():
    for _ in range(50):
        waits = list(islice(backoff_s(0.1, 0.5), 6))
        assert all(0 <= w <= most for w, most in zip(waits, (0.1, 0.2, 0.4, 0.5, 0.5, 0.5), strict=True))
    assert len({next(backoff_s()) for _ in range(20)}) > 1
