"""Breaks what the plan says, when it says so, and mends it again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis.asyncio as redis

from tests.torture.disk import full_for
from tests.torture.fault_plan import HEAL_S, Fault
from tests.torture.ledger import Ledger
from tests.torture.stage import Stage
from tests.torture.supervisor import Place


@dataclass
class Broken:
    """What was done: when it began, and when it was mended (the engine serves again)."""

    fault: Fault
    began_at: float
    mended_at: float | None = None


class Injector:
    """One task for each fault. One that cannot be done or mended is an error of the harness, and raised."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage = stage
        self._ledger = ledger
        self.done: list[Broken] = []

    async def run(self, faults: tuple[Fault, ...], end_s: float, least: int) -> None:
        """Returns when all are mended.

        Mending takes longer on a slow machine. Then the next ones come later. None that would last
        beyond `end_s` is begun once there were `least` of them.
        """
        late_s, begun = 0.0, 0
        under_way: dict[asyncio.Task[None], Fault] = {}
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                if under_way and all(one.at_s + one.lasts_s < fault.at_s for one in under_way.values()):
                    await asyncio.wait(under_way)
                    under_way.clear()
                    late_s = max(late_s, self._ledger.now + HEAL_S[0] - fault.at_s)
                if begun >= least and fault.at_s + late_s + fault.lasts_s > end_s:
                    self._ledger.note(f"no time left for {fault}")
                    break
                under_way[group.create_task(self._do(fault, fault.at_s + late_s))] = fault
                begun += 1

    async def _do(self, fault: Fault, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._ledger.now))
        broken = Broken(fault, self._ledger.now)
        self.done.append(broken)
        match fault.mode:
            case "kill" | "stop":
                await self._restart(fault)
            case "pause":
                await self._pause(fault)
            case "mongo" | "kafka" | "redis":
                await self._engine(fault)
            case "flush":
                async with redis.Redis.from_url(self._stage.engines.redis_url) as client:
                    await client.flushall()
            case "cut":
                await self._cut(fault)
            case "clock":
                self._stage.clocks.jump(fault.target, int(fault.how))
                await asyncio.sleep(fault.lasts_s)
                self._stage.clocks.jump(fault.target, 0)
            case "disk":
                stage = self._stage
                self._ledger.note(await full_for(stage.local, stage.mongo_data, fault.lasts_s))
            case _:
                raise ValueError(f"nobody knows how to do {fault}")
        broken.mended_at = self._ledger.now

    async def _restart(self, fault: Fault) -> None:
        """A role is restarted part by part."""
        supervisor = self._stage.supervisor
        for place in supervisor.named(fault.target):
            await (supervisor.kill(place) if fault.mode == "kill" else supervisor.stop(place))
            await asyncio.sleep(fault.lasts_s)
            supervisor.start(place)

    async def _pause(self, fault: Fault) -> None:
        (place,) = self._stage.supervisor.named(fault.target)
        async with _paused(place):
            await asyncio.sleep(fault.lasts_s)

    async def _engine(self, fault: Fault) -> None:
        os.kill(self._stage.local.pid(fault.target), signal.SIGKILL)
        await asyncio.sleep(fault.lasts_s)
        await self._stage.local.restart(fault.target)

    async def _cut(self, fault: Fault) -> None:
        how, _, engine = fault.how.partition(" to ")
        proxy = self._stage.proxies[engine]
        proxy.cut(fault.target, stalled=how == "stalled")
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            proxy.heal(fault.target)


@asynccontextmanager
async def _paused(place: Place) -> AsyncIterator[None]:
    """Also goes on when the run is ended meanwhile."""
    part = place.part
    if part is not None:
        part.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if part is not None:
            part.signal(signal.SIGCONT)
