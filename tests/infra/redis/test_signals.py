from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from infra.redis.signals import Pushed, Replaced, Signals
from tests.builders import until

ONE = Pushed([("ann", 1), ("bob", 7)], b'{"a":1}')


@pytest.fixture
def signals(client, keys):
    return Signals(client, keys)


class Ear:
    """What a gateway heard, and how often it was (re)subscribed."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.subscribed = 0

    async def on_subscribed(self) -> None:
        self.subscribed += 1


@asynccontextmanager
async def listening(signals: Signals, gateway_id: str):
    ear = Ear()
    task = asyncio.create_task(signals.listen(gateway_id, ear.heard.extend, ear.on_subscribed))
    await until(lambda: ear.subscribed)
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_gateway_hears_its_own_signals_in_order(signals):
    sent = [ONE, Replaced("ann", "phone", "s1"), ONE]
    async with listening(signals, "g1") as one, listening(signals, "g2") as two:
        assert await signals.send({"g1": sent, "g2": [ONE], "nobody": [ONE]}) == 2
        await until(lambda: len(one.heard) == 3 and two.heard)
        assert (one.heard, two.heard) == (sent, [ONE])


async def test_signal_without_a_listener_is_lost(signals):
    assert await signals.send({"g1": [ONE]}) == 0


async def test_cut_connection_is_made_again_and_told(signals, client):
    """What was sent in between is lost, so the gateway must look at the heads."""
    others = await _listeners(client)
    async with listening(signals, "g1") as ear:
        for listener in await _listeners(client) - others:
            await client.client_kill_filter(_id=listener)
        await until(lambda: ear.subscribed == 2)
        assert await signals.send({"g1": [ONE]}) == 1
        await until(lambda: ear.heard == [ONE])


async def _listeners(client) -> set[str]:
    return {row["id"] for row in await client.client_list(_type="pubsub")}
