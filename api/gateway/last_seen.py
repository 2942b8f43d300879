"""When users were last online, written behind everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from api.gateway.attendant import Attendant
from api.gateway.register import Turn
from domain.errors import RingpostError
from domain.ids import UserId
from infra.mongo.accounts import AccountStore
from infra.telemetry.logs import logger

WRITE_EVERY_S = 1.0
WRITTEN_AT_ONCE = 500
MOST_WAITING = 20_000
"""Users whose time waits to be written. The time of one more is dropped."""


class LastSeen(Attendant):
    """Nobody waits for a write. One that fails is dropped.

    A user who comes back before the write needs none. There is at most one write at a time, of up to
    `WRITTEN_AT_ONCE` users, and nothing is written while nobody goes away.
    """

    name = "last seen"

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts
        self._waiting: dict[UserId, int] = {}
        self._some = asyncio.Event()
        self._stopping = asyncio.Event()

    def turned(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            if turn.online:
                self._waiting.pop(turn.user_id, None)
            else:
                self.went(turn.user_id, turn.at_ms)

    def went(self, user: UserId, at_ms: int) -> None:
        """The user was online until then."""
        if user in self._waiting or len(self._waiting) < MOST_WAITING:
            self._waiting[user] = at_ms
            self._some.set()

    async def run(self) -> None:
        while not self._stopping.is_set():
            await self._some.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), WRITE_EVERY_S)
            await self._write()
        await self._write()

    def stop(self) -> None:
        self._stopping.set()
        self._some.set()

    async def _write(self) -> None:
        self._some.clear()
        while self._waiting:
            some = dict(islice(self._waiting.items(), WRITTEN_AT_ONCE))
            for user in some:
                del self._waiting[user]
            try:
                await self._accounts.put_seen(some)
            except RingpostError as error:
                logger().warning(
                    "could not write when users were last seen", users=len(some), error=error.message
                )
                self._waiting.clear()
