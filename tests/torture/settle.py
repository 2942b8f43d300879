"""The bounded wait for rest: nothing on its way any more, every device at the end of its inbox."""

from __future__ import annotations

import asyncio
import time

from domain.errors import Unavailable
from tests.torture.collect import lags, read_store
from tests.torture.facts import Facts, Row
from tests.torture.ledger import Ledger
from tests.torture.stage import Stage

SETTLE_S = 240.0
LOOK_S = 1.0
"""Longer than relay and barrier take between two looks: what is at rest in two of ours is at rest."""


async def settled(stage: Stage, ledger: Ledger, deadline_s: float = SETTLE_S) -> list[str]:
    """Empty once all is at rest, else what was not when the time was up."""
    give_up = time.monotonic() + deadline_s
    quiet = 0
    while True:
        moving = await _moving(stage, ledger)
        quiet = 0 if moving else quiet + 1
        if quiet == 2 or time.monotonic() > give_up:
            return moving
        await asyncio.sleep(LOOK_S)


async def _moving(stage: Stage, ledger: Ledger) -> list[str]:
    facts = Facts()
    await asyncio.to_thread(read_store, stage.settings, facts)
    rows = [row for row in facts.outbox if is_complete(facts, row)]
    found = [f"{len(rows)} rows wait in the outbox"] if rows else []
    if facts.untold:
        found.append(f"the reactions to {facts.untold} messages are not told")
    try:
        behind = await lags(stage.settings)
    except Unavailable as error:
        return [*found, error.message]
    found += [f"{group} is {count} records behind" for group, count in behind.items() if count > 0]
    for (user, device), cursor in ledger.devices.items():
        head = len(facts.timelines.get(user, ()))
        if cursor != head:
            found.append(f"{device} of {user} is at {cursor}, its inbox ends at {head}")
    return found


def is_complete(facts: Facts, row: Row) -> bool:
    """All its messages are stored. Others are kept for an hour: their process may only be paused."""
    return all(facts.entry(place) for place in row.places)
