"""Which sessions are on this gateway, as Redis is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.clock import now_ms
from domain.errors import RingpostError
from domain.ids import UserId
from infra.redis.presence import Online, Place, Presence, Written
from infra.telemetry.logs import logger

WRITTEN_AT_ONCE = 500

Places = list[list[Place]]


class Turn(NamedTuple):
    """A session that made its user come online, or go away: the first one anywhere, or the last.

    `watchers` are the gateways that want to know.
    """

    user_id: UserId
    online: bool
    at_ms: int
    watchers: Sequence[str]


def _ignore(_: Sequence[Turn]) -> None:
    """For who does not ask for turns."""


class Register:
    """Writes the presence of this gateway's sessions: one write at a time, many sessions in each.

    A write says which sessions are here at the moment at which it leaves. So the last write about a session
    is right, in whatever order sessions join, leave and are renewed. Those that join together share a write.
    """

    def __init__(
        self, gateway_id: str, presence: Presence, on_turns: Callable[[Sequence[Turn]], None] = _ignore
    ) -> None:
        """`on_turns` gets the turns of each write, as Redis noticed them. They cost no round trip."""
        self._gateway_id = gateway_id
        self._presence = presence
        self._on_turns = on_turns
        self._here: set[Online] = set()
        self._due: deque[tuple[Sequence[Online], asyncio.Future[Places] | None]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def join(self, session: Online) -> list[Place]:
        """Returns where the user is online now.

        Raises Unavailable. The session is written by the next renewal then.
        """
        self._here.add(session)
        return (await self._written([session]))[0]

    def leave(self, session: Online) -> None:
        """Returns at once. Presence that cannot be removed expires."""
        self._here.discard(session)
        self._write_soon([session], None)

    async def renew(self) -> None:
        """Write all sessions again. Joins need not wait until it is over. Raises Unavailable."""
        sessions = list(self._here)
        for start in range(0, len(sessions), WRITTEN_AT_ONCE):
            await self._written(sessions[start : start + WRITTEN_AT_ONCE])

    async def _written(self, sessions: Sequence[Online]) -> Places:
        written: asyncio.Future[Places] = asyncio.get_running_loop().create_future()
        self._write_soon(sessions, written)
        return await written

    def _write_soon(self, sessions: Sequence[Online], written: asyncio.Future[Places] | None) -> None:
        self._due.append((sessions, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._due:
                await self._write_next()
        finally:
            self._writing = None

    async def _write_next(self) -> None:
        """Write what is due, up to `WRITTEN_AT_ONCE` sessions."""
        taken = [self._due.popleft()]
        count = len(taken[0][0])
        while self._due and count + len(self._due[0][0]) <= WRITTEN_AT_ONCE:
            taken.append(self._due.popleft())
            count += len(taken[-1][0])
        changes = [(session, session in self._here) for sessions, _ in taken for session in sessions]
        try:
            done = await self._presence.write(self._gateway_id, changes)
        except RingpostError as error:
            logger().warning("could not write presence", sessions=count, error=error.message)
            for _, written in taken:
                if written is not None and not written.done():
                    written.set_exception(error)
            return
        self._tell_turns(changes, done)
        places = iter(done)
        for sessions, written in taken:
            found = [next(places).places for _ in sessions]
            if written is not None and not written.done():
                written.set_result(found)

    def _tell_turns(self, changes: Sequence[tuple[Online, bool]], done: Sequence[Written]) -> None:
        at_ms = now_ms()
        turns = [
            Turn(session.user_id, here, at_ms, one.watchers)
            for (session, here), one in zip(changes, done, strict=True)
            if one.turned
        ]
        if turns:
            self._on_turns(turns)
