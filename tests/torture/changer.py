"""Adds members to groups and removes them, each change after the one before it was answered."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

from tests.torture.facts import Changing
from tests.torture.plan import Change, Plan
from tests.torture.town import NoAnswer, Town

LATE_S = 40.0
"""So long a try without an answer may still take effect: its process may be paused."""


class Changer:
    """The owner of a group changes it; what was not answered is asked again elsewhere."""

    def __init__(self, town: Town, plan: Plan) -> None:
        self._town = town
        self._ledger = town.ledger
        self._plan = plan

    async def run(self) -> None:
        """Every change at its time until the traffic is over; returns when each was answered."""
        by_group: dict[int, list[Change]] = defaultdict(list)
        for change in self._plan.changes:
            by_group[change.conversation].append(change)
        async with asyncio.TaskGroup() as group:
            for changes in by_group.values():
                group.create_task(self._work_off(changes))

    async def _work_off(self, changes: list[Change]) -> None:
        for number, change in enumerate(changes):
            if not await self._ledger.comes(change.at_s):
                break
            begun = self._ledger.now
            try:
                await self._change(change, random.Random(number))
            except asyncio.CancelledError:
                self._perhaps(change, begun)
                raise

    def _perhaps(self, change: Change, begun: float) -> None:
        """Nobody knows whether it takes effect, nor, for a while, when."""
        conversation = self._town.conversations[change.conversation]
        until = self._ledger.now + LATE_S
        self._ledger.changings.append(Changing(conversation, change.user, change.join, begun, until, True))

    async def _change(self, change: Change, rng: random.Random) -> None:
        conversation = self._town.conversations[change.conversation]
        owner = self._plan.conversations[change.conversation].members[0]
        path = f"/v1/conversations/{conversation}/members/{change.user}"
        method = "PUT" if change.join else "DELETE"
        begun, api = self._ledger.now, change.api
        while True:
            tried = self._ledger.now
            try:
                answer = await self._town.call(method, api, path, self._town.token(owner))
            except NoAnswer as reason:
                self._ledger.errors[f"change: {reason}"] += 1
                self._perhaps(change, tried)
            else:
                if answer.good:
                    done = Changing(conversation, change.user, change.join, begun, self._ledger.now)
                    self._ledger.changings.append(done)
                    return
                self._ledger.errors[f"change: {answer.code}"] += 1
                if not answer.retriable and answer.code != "conflict":
                    said = f"{method} {change.user} in {conversation} was refused: {answer.code}"
                    self._ledger.complain(said)
                    return
            api += 1
            await asyncio.sleep(rng.uniform(0.1, 1.0))
