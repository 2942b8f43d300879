"""The relay: spreads the outbox rows that nobody alive looks after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from domain.clock import now_ms
from domain.conversations import Members
from domain.errors import NotFound, RingpostError
from domain.ids import ConversationId
from infra.kafka.publisher import Confirmed, Publisher
from infra.mongo.messages import MessageStore, Place
from infra.telemetry.logs import logger
from infra.telemetry.names import RELAYED
from producers.barrier import Barrier
from producers.membership import Membership
from producers.spread import Spreadable, records_of

PATIENCE_MS = 3_600_000
"""A message that its row announced may still appear for so long: its process may be paused."""


class _Adopted(NamedTuple):
    """A row on its way: the places still without a message, and what Kafka has of the others."""

    row_id: str
    at_ms: int
    missing: list[Place]
    confirmed: list[Confirmed]


class Relay:
    """Adopts rows whose owner's lease ran out, or that were given up, and spreads them again.

    Harmless where they had been spread: recipients are the same, and a timeline has a message once.
    Any number may run. A row whose messages are not (all) in the store is kept and looked at again.
    """

    name = "relay"

    def __init__(
        self,
        barrier: Barrier,
        messages: MessageStore,
        membership: Membership,
        publisher: Publisher,
        partitions: int,
    ) -> None:
        self._barrier = barrier
        self._messages = messages
        self._membership = membership
        self._publisher = publisher
        self._partitions = partitions
        self._incomplete: list[_Adopted] = []
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        while not self._stopping.is_set():
            if not await self.step():
                await self._pause()

    def stop(self) -> None:
        self._stopping.set()

    async def step(self) -> int:
        """Adopt and spread one batch; returns how many rows. What fails is given up, and adopted again."""
        rows, self._incomplete = self._incomplete, []
        before = len(rows)
        try:
            adopted = await self._barrier.adopt(beside=before)
            rows += [_Adopted(row.row_id, row.at_ms, row.places, []) for row in adopted]
            await self._spread(rows)
        except RingpostError as error:
            logger().warning("rows not relayed", error=error.message, rows=len(rows))
            self._incomplete = []
            for row in rows:
                self._barrier.give_up(row.row_id)
        return len(rows) - before

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._barrier.scan_s)
        except TimeoutError:
            return

    async def _spread(self, rows: Sequence[_Adopted]) -> None:
        stored = await self._messages.by_place(place for row in rows for place in row.missing)
        members = await self._members({conversation for conversation, _ in stored})
        for row in rows:
            items = [
                Spreadable(members[place[0]], place[1], stored[place])
                for place in row.missing
                if place in stored and place[0] in members
            ]
            receipt = await self._publisher.enqueue(
                [record for item in items for record in records_of(item, self._partitions)]
            )
            confirmed = [*row.confirmed, *await receipt.confirmed()]
            missing = [place for place in row.missing if place not in stored]
            if not missing or now_ms() - row.at_ms > PATIENCE_MS:
                self._barrier.confirmed(row.row_id, confirmed)
                RELAYED.inc()
            else:
                self._incomplete.append(_Adopted(row.row_id, row.at_ms, missing, confirmed))

    async def _members(self, conversations: Iterable[ConversationId]) -> dict[ConversationId, Members]:
        """Member lists as they are now: their windows tell who received what. Unknown ones are absent."""
        found = {}
        for conversation in conversations:
            with suppress(NotFound):
                found[conversation] = await self._membership.newest(conversation)
        return found
