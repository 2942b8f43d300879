"""One run: stage, traffic, faults, rest, check, replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.tasks import ended
from tests.patience import PATIENCE_S
from tests.torture.actor import Actor
from tests.torture.changer import Changer
from tests.torture.collect import read_log, read_pulls, read_rings, read_store
from tests.torture.device import Device
from tests.torture.evidence import evidence
from tests.torture.facts import Facts, Violation
from tests.torture.history import violations
from tests.torture.injector import Broken, Injector
from tests.torture.ledger import Ledger
from tests.torture.options import Options
from tests.torture.plan import Plan, make_plan
from tests.torture.puller import Puller
from tests.torture.replay import replayed
from tests.torture.sender import Sender
from tests.torture.settle import settled
from tests.torture.stage import Stage, opened_stage
from tests.torture.town import Town
from tests.torture.views import read_views

ANSWERED_S = 180.0
"""Seconds after traffic and faults in which everything that is repeated is to be answered."""


@dataclass
class Run:
    """What came of it."""

    options: Options
    plan: Plan
    ledger: Ledger
    facts: Facts = field(default_factory=Facts)
    faults: list[Broken] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    settled_after_s: float | None = None
    replayed: bool = False


async def run(options: Options, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Run:
    """Logs and data of everything are in `folder` afterwards. `tell` hears of each stage."""
    done = Run(options, make_plan(options), Ledger())
    async with opened_stage(options, folder, done.ledger) as stage, _supervised(stage):
        if late := await stage.supervisor.ready(PATIENCE_S):
            raise RuntimeError(f"not ready before anything was broken: {', '.join(late)}")
        tell("Making users and conversations")
        async with Town(stage.supervisor.apis, done.ledger) as town:
            done.facts.first_members = await town.settle_in(done.plan)
            async with _people(town, done.plan) as devices:
                tell(f"Traffic and faults for {options.seconds:g} s, and until all is answered")
                await _traffic(done, stage, town, devices)
                tell("Waiting for rest, then checking the whole history")
                await _examine(done, stage, town)
    return done


@asynccontextmanager
async def _supervised(stage: Stage) -> AsyncIterator[None]:
    task = asyncio.create_task(stage.supervisor.run())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def _people(town: Town, plan: Plan) -> AsyncIterator[dict[str, list[Device]]]:
    """Every device at what its plan says, for the length of the block; those with sockets by user."""
    town.ledger.start()
    devices: dict[str, list[Device]] = {}
    people: list[Device | Puller] = []
    for person in plan.people:
        for it in person.devices:
            if it.kind == "pull":
                people.append(Puller(town, person.user, it))
            else:
                device = Device(town, person.user, it)
                devices.setdefault(person.user, []).append(device)
                people.append(device)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in people]
        try:
            yield devices
        finally:
            await ended(tasks)


async def _traffic(done: Run, stage: Stage, town: Town, devices: dict[str, list[Device]]) -> None:
    """Until all is mended, sent and answered. What is not answered a good while after that is given up."""
    options, ledger = done.options, done.ledger
    injector = Injector(stage, ledger)
    done.faults = injector.done
    sending = asyncio.create_task(Sender(town, done.plan, devices).run())
    changing = asyncio.create_task(Changer(town, done.plan).run())
    acting = asyncio.create_task(Actor(town, done.plan).run())
    people = (sending, changing, acting)
    try:
        await injector.run(done.plan.faults, options.seconds, options.faults)
        await asyncio.sleep(max(0.0, options.seconds - ledger.now))
        ledger.end()
        _, waiting = await asyncio.wait(people, timeout=ANSWERED_S)
        if changing in waiting:
            done.facts.unsettled.append("a change of members was never answered")
    finally:
        await ended(people)
        results = await asyncio.gather(*people, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _examine(done: Run, stage: Stage, town: Town) -> None:
    facts, ledger = done.facts, done.ledger
    began = time.monotonic()
    facts.unsettled += [f"{name} was not ready" for name in await stage.supervisor.ready(PATIENCE_S)]
    facts.unsettled += await settled(stage, ledger)
    done.settled_after_s = time.monotonic() - began
    ledger.fill(facts)
    await read_pulls(town, facts)
    await asyncio.to_thread(read_store, stage.settings, facts)
    await read_views(town, facts)
    await asyncio.to_thread(read_rings, stage.settings, facts)
    await read_log(stage.settings, facts)
    done.violations = violations(facts)
    done.evidence = await evidence(stage.settings, facts, done.violations)
    if done.options.replay and not facts.unsettled:
        done.violations += await replayed(stage, facts, ledger)
        done.replayed = True
