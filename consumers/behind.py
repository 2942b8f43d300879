"""Remembers whose rings missed an entry while Redis did not answer, and drops these rings when it is back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping

from domain.errors import RingpostError
from domain.ids import UserId, inbox_partition
from infra.mongo.behind import BehindStore, Marked
from infra.redis.ring import Ring
from infra.retry import backoff_s
from infra.tasks import run_until
from infra.telemetry.logs import logger

MOST_USERS = 10_000
"""The most users that are remembered one by one. Beyond it, all rings of their partitions are dropped."""


class Behind:
    """A ring that missed an entry does not stay (I4, I5), also if this process dies.

    `mark` is durable when it returns, so offsets may be committed then. A worker that takes over a partition
    takes over its marks. It does no harm to drop a ring too many, or to write to one that is still to be
    dropped: a ring with a gap is removed, and readers rebuild rings from the timeline.
    """

    name = "behind"

    def __init__(self, ring: Ring, store: BehindStore, partitions: int) -> None:
        self._ring = ring
        self._store = store
        self._partitions = partitions
        self._owner = secrets.token_hex(8)
        self._marked = Marked({}, set())
        self._to_claim: list[int] | None = None
        self._due = asyncio.Event()
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        await run_until(self._stopping, self._drop_when_due())

    def stop(self) -> None:
        self._stopping.set()

    def assigned(self, partitions: Collection[int]) -> None:
        """These inbox partitions are ours from now on, with what was marked in them."""
        self._to_claim = list(partitions)
        self._due.set()

    async def mark(self, users: Mapping[UserId, int]) -> None:
        """The rings of these users, each with its inbox partition, may lack an entry. Raises Unavailable."""
        async with self._lock:
            await self._claim()
            known, partitions = self._marked
            fresh = {user: p for user, p in users.items() if user not in known and p not in partitions}
            if len(known) + len(fresh) > MOST_USERS:
                await self._store.add_all(self._owner, set(fresh.values()))
                partitions.update(fresh.values())
            elif fresh:
                await self._store.add(self._owner, fresh)
                known.update(fresh)
        self._due.set()

    async def step(self) -> None:
        """Drop all rings that are marked. Raises Unavailable, and then they stay marked."""
        async with self._lock:
            await self._claim()
            users, partitions = self._marked
            if users:
                await self._ring.drop(list(users))
            if partitions:
                await self._ring.drop_all(lambda user: inbox_partition(user, self._partitions) in partitions)
            if users or partitions:
                await self._store.remove(self._owner)
                logger().info(
                    "dropped rings that missed entries", users=len(users), all_of=sorted(partitions)
                )
            self._marked = Marked({}, set())

    async def _claim(self) -> None:
        """Afterwards `_marked` is what the store has for us."""
        if self._to_claim is not None:
            to_claim = self._to_claim
            self._marked = await self._store.claim(self._owner, to_claim)
            if self._to_claim is to_claim:
                self._to_claim = None

    async def _drop_when_due(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            for wait_s in backoff_s(0.1, 1.0):
                try:
                    await self.step()
                    break
                except RingpostError:
                    await asyncio.sleep(wait_s)
