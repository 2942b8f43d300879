"""A consumer that heartbeats and gets nowhere ends its process; one that waits for an engine does not."""

from __future__ import annotations

import asyncio

import pytest

from consumers.loop import Loop
from consumers.watchdog import Stalled, Watchdog
from domain.errors import Unavailable
from infra.kafka.publisher import Record
from infra.kafka.reader import Reader
from infra.kafka.topics import DELIVERIES
from infra.lifecycle import run_services
from infra.telemetry.status import Health
from tests.builders import running, until
from tests.patience import PATIENCE_S

STALL_S = 3.0


class Handler:
    """Handles anything, as the test says."""

    group = "inbox"
    topic = DELIVERIES

    def __init__(self) -> None:
        self.begun = 0
        self.let_through = asyncio.Event()
        self.error: Exception | None = None

    def decode(self, value: bytes) -> list[bytes]:
        return [value]

    def encode(self, event: bytes) -> bytes:
        return event

    async def handle(self, batch) -> None:
        self.begun += 1
        if self.error is not None:
            raise self.error
        await self.let_through.wait()


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def loop(town, settings, handler):
    return Loop(town.log, handler, town.publisher, settings.worker)


async def publish(town) -> None:
    await (await town.publisher.enqueue([Record(DELIVERIES, 0, b"k", b"v")])).confirmed()


async def test_handler_that_never_returns_ends_the_process(town, loop, handler, monkeypatch):
    monkeypatch.setattr("infra.lifecycle.STOP_DEADLINE_S", 0.2)
    watchdog = Watchdog(loop, STALL_S)
    await publish(town)
    with pytest.raises(Stalled):
        async with asyncio.timeout(PATIENCE_S):
            await run_services([watchdog, loop])
    assert handler.begun == 1
    assert "inbox" in Health({}, {"inbox": watchdog.alive}).alive()["inbox"]


async def test_consumer_that_takes_nothing_of_what_is_there_is_stalled(town, loop, handler, monkeypatch):
    """As if its fetcher had died: nothing is begun, and the log has more."""
    watchdog = Watchdog(loop, STALL_S)
    handler.let_through.set()
    async with running(loop):
        await publish(town)
        await until(lambda: handler.begun)
        await until(lambda: loop.moves)
        takes = 0

        async def takes_nothing(_reader, _most, timeout_ms):
            nonlocal takes
            takes += 1
            await asyncio.sleep(timeout_ms / 1000)
            return []

        monkeypatch.setattr(Reader, "take", takes_nothing)
        await until(lambda: takes)
        await publish(town)
        with pytest.raises(Stalled):
            await _look_until_stalled(watchdog)


async def _look_until_stalled(watchdog: Watchdog) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await watchdog.step()
            await asyncio.sleep(0.05)


async def test_consumer_that_waits_for_an_engine_moves(town, loop, handler):
    watchdog = Watchdog(loop, STALL_S)
    handler.error = Unavailable("away")
    await publish(town)
    async with running(loop):
        await until(lambda: handler.begun)
        for _ in range(3):
            before = loop.moves
            await until(lambda before=before: loop.moves > before)
            await watchdog.step()
        assert watchdog.alive() == "ok"
        handler.error = None
        handler.let_through.set()


async def test_consumer_with_nothing_to_do_need_not_move(town, loop):
    watchdog = Watchdog(loop, 0.01)
    async with running(loop):
        for _ in range(5):
            await watchdog.step()
            await asyncio.sleep(0.02)
    assert watchdog.alive() == "ok"
