"""A device without a socket: it only pulls, with pages of all sizes, and waits on the server or not."""

from __future__ import annotations

import asyncio
import random

from tests.torture.facts import Connection
from tests.torture.plan import DevicePlan, Stay
from tests.torture.town import ANSWER_S, NoAnswer, Town
from tests.torture.wire import decode_page


class Puller:
    """Its cursor is the number of the last entry that it got."""

    def __init__(self, town: Town, user: str, plan: DevicePlan) -> None:
        self.user = user
        self.name = plan.name
        self.cursor = 0
        self._town = town
        self._ledger = town.ledger
        self._ledger.devices[user, plan.name] = 0
        self._stays = plan.stays
        self._rng = random.Random(f"{user}/{plan.name}")

    async def run(self) -> None:
        """The stays of the plan, then until cancelled."""
        for stay in self._stays:
            await asyncio.sleep(max(0.0, stay.at_s - self._ledger.now))
            self.cursor = max(0, self.cursor - stay.back)
            while self._ledger.now < stay.at_s + stay.lasts_s:
                await self._pull(stay)
        while True:
            await self._pull(Stay(0.0, 0.0, self._rng.randrange(2)))

    async def _pull(self, stay: Stay) -> None:
        limit, wait_s = self._rng.choice((1, 7, 50, 200)), self._rng.choice((0, 1, 5))
        api, began = stay.api + self._rng.randrange(4) // 3, self._ledger.now
        path = f"/v1/sync?cursor={self.cursor}&limit={limit}&wait_s={wait_s}"
        token = self._town.token(self.user, self.name)
        try:
            answer = await self._town.call("GET", api, path, token, within_s=wait_s + ANSWER_S)
        except NoAnswer as error:
            self._ledger.errors[f"pull: {error}"] += 1
            await self._pause()
            return
        if answer.good:
            connection = Connection(self.user, self.name, self._town.url(api), began, self.cursor)
            self._take(answer.raw, connection)
            if self.cursor == connection.cursor and not wait_s:
                await self._pause()
            return
        self._ledger.errors[f"pull: {answer.code}"] += 1
        if not answer.retriable:
            said = f"{self.name} of {self.user} pulled from {self.cursor} and was told {answer.code}"
            self._ledger.complain(said)
        await self._pause()

    def _take(self, raw: bytes, connection: Connection) -> None:
        page = decode_page(raw)
        for entry in page.entries:
            self._ledger.received(connection, entry)
            self.cursor = entry.seq
        if connection.entries:
            self._ledger.connections.append(connection)
        if page.cursor != self.cursor or page.more != (page.cursor < page.head):
            said = (
                f"{self.name} of {self.user} was at {self.cursor}; the page says {page.cursor}, {page.head}"
            )
            self._ledger.complain(said)

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.1, 0.6))
