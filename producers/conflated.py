"""Tells the members of changed reactions: few records, however many change them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from domain.changes import Change
from domain.clock import now_ms
from domain.errors import RingpostError
from domain.ids import UserId
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Place
from infra.tasks import run_until
from infra.telemetry.logs import logger
from producers.membership import Membership
from producers.send import Sender

LEAST_S, MOST_S = 1.0, 30.0
"""Seconds between two records of one message. Each that follows at once doubles them."""

TOLD_AT_ONCE = 64
REMEMBERED = 20_000
SWEEP_S = 20.0
LEFT_MS = 60_000
"""Reactions that nobody has told for so long are told by whoever finds them: their process is gone."""

SWEPT_AT_ONCE = 100


@dataclass(slots=True)
class _Pace:
    """When the next record about a message may be sent, and how long to wait after it."""

    next_at: float = 0.0
    pause_s: float = LEAST_S


class Conflated:
    """One record tells all counts of a message. A record follows every change, so the last one is right.

    The first change is told at once. While changes go on, records become rarer: one in `LEAST_S`, then in
    twice as long, up to `MOST_S`. What a process that died has not told, another tells after `LEFT_MS`.
    """

    name = "conflated"

    def __init__(
        self,
        sender: Sender,
        messages: MessageStore,
        membership: Membership,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._messages = messages
        self._membership = membership
        self._clock = clock
        self._paces: OrderedDict[Place, _Pace] = OrderedDict()
        self._due: dict[Place, _Pace] = {}
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()

    def changed(self, place: Place) -> None:
        """The reactions to the message changed, and that is stored."""
        pace = self._paces.setdefault(place, _Pace())
        self._paces.move_to_end(place)
        now = self._clock()
        if now > pace.next_at + pace.pause_s:  # it was quiet
            pace.pause_s = LEAST_S
        self._due[place] = pace
        self._news.set()

    async def run(self) -> None:
        await run_until(self._stopping, self._tell_all())
        await self._tell(list(self._due))

    def stop(self) -> None:
        self._stopping.set()

    async def _tell_all(self) -> None:
        sweep_at = self._clock() + SWEEP_S
        while True:
            wait_s = min([*(pace.next_at for pace in self._due.values()), sweep_at]) - self._clock()
            self._news.clear()
            if wait_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), wait_s)
            if self._clock() >= sweep_at:
                sweep_at = self._clock() + SWEEP_S
                await self._sweep()
            await self.step()

    async def step(self) -> None:
        """Tell what is due now."""
        now = self._clock()
        await self._tell([place for place, pace in self._due.items() if pace.next_at <= now])
        while len(self._paces) > REMEMBERED:
            self._paces.popitem(last=False)

    async def _tell(self, places: list[Place]) -> None:
        for start in range(0, len(places), TOLD_AT_ONCE):
            await asyncio.gather(*map(self._tell_one, places[start : start + TOLD_AT_ONCE]))

    async def _tell_one(self, place: Place) -> None:
        pace = self._due.pop(place)  # before the record: what changes from now on needs another one
        pace.next_at = self._clock() + pace.pause_s
        pace.pause_s = min(2 * pace.pause_s, MOST_S)
        try:
            members = await self._membership.at(place[0], 0)
            teller = next((m.user_id for m in members.present), None)
            if teller is not None:
                change = Change("reactions", place[0], UserId(teller), secrets.token_hex(8), place[1])
                await self._sender.change(change, len(members.by_user))
        except RingpostError as error:
            self._due[place] = pace
            logger().warning("could not tell reactions", error=error.message)

    async def _sweep(self) -> None:
        """Find what another process has left. Raises nothing: it looks again later."""
        with suppress(RingpostError):
            for place in await self._messages.untold(now_ms() - LEFT_MS, SWEPT_AT_ONCE):
                self.changed(place)
