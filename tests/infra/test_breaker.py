"""The breaker: who asks an engine that does not answer, and when it is asked no more."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from domain.errors import Unavailable
from infra.breaker import Breaker
from tests.builders import until

AWAY = Unavailable("It does not answer.")


class Engine:
    """Answers probes while it is there. Counts them."""

    def __init__(self) -> None:
        self.there = False
        self.probes = 0
        self.asked_now = 0
        self.most_at_once = 0

    async def probe(self) -> None:
        self.probes += 1
        self.asked_now += 1
        self.most_at_once = max(self.most_at_once, self.asked_now)
        await asyncio.sleep(0)
        self.asked_now -= 1
        if not self.there:
            raise Unavailable("It still does not answer.")


def shown() -> float | None:
    return REGISTRY.get_sample_value("ringpost_breaker_open", {"engine": "engine"})


async def test_an_engine_that_does_not_answer_is_asked_by_one_probe_at_a_time():
    engine = Engine()
    breaker = Breaker("engine", engine.probe)
    breaker.check()
    for _ in range(100):
        breaker.open(AWAY)
        with pytest.raises(Unavailable):
            breaker.check()
    await until(lambda: engine.probes >= 3)
    assert (engine.most_at_once, shown()) == (1, 1)
    await breaker.aclose()


async def test_first_answer_closes_the_breaker_and_ends_the_probes():
    engine = Engine()
    breaker = Breaker("engine", engine.probe)
    breaker.open(AWAY)
    await until(lambda: engine.probes)
    with pytest.raises(Unavailable, match="still"):
        breaker.check()
    engine.there = True
    await until(lambda: shown() == 0)
    breaker.check()
    asked = engine.probes
    breaker.open(AWAY)  # and again
    await until(lambda: shown() == 0 and engine.probes == asked + 1)


async def test_closing_ends_the_probes():
    engine, before = Engine(), asyncio.all_tasks()
    breaker = Breaker("engine", engine.probe)
    breaker.open(AWAY)
    await until(lambda: engine.probes)
    await breaker.aclose()
    assert asyncio.all_tasks() == before
