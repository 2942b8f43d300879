"""Tells sessions where their inbox ends: each in its turn, and all after pushes may have been lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from api.gateway.session import Session
from api.sync import Sync
from domain.errors import RingpostError
from domain.ids import UserId
from infra.tasks import ended

READ_AT_ONCE = 500
"""Heads that one round trip to Redis reads."""

STORE_READS_AT_ONCE = 16
"""Heads that are read from MongoDB at the same time, of users without a ring."""


class Heart:
    """Sends a heartbeat with the head to each session every `heartbeat_s`.

    The heads of all users that are due are read together. Those of users without a ring are read in MongoDB,
    a few at a time, and nobody else waits for them: not even when no user has a ring.
    """

    def __init__(self, sync: Sync, heartbeat_s: float) -> None:
        self._sync = sync
        self._heartbeat_s = heartbeat_s
        self._beats: dict[Session, float] = {}
        self._without_ring: dict[UserId, dict[Session, bool]] = {}
        self._readers: set[asyncio.Task[None]] = set()

    def add(self, session: Session) -> None:
        """Its first heartbeat comes earlier, by a random time: many devices may come at the same moment."""
        self._beats[session] = time.monotonic() + random.uniform(0.5, 1) * self._heartbeat_s

    def remove(self, session: Session) -> None:
        self._beats.pop(session, None)

    async def beat(self) -> None:
        """Send the heartbeats that are due."""
        now = time.monotonic()
        due = [session for session, beat_at in self._beats.items() if beat_at <= now]
        for session in due:
            self._beats[session] = now + self._heartbeat_s
        await self._tell(due, beat=True)

    async def check(self) -> None:
        """Let each session pull what it was not sent."""
        await self._tell(list(self._beats), beat=False)

    async def stop(self) -> None:
        self._without_ring.clear()
        await ended(self._readers)

    async def _tell(self, sessions: Sequence[Session], *, beat: bool) -> None:
        for start in range(0, len(sessions), READ_AT_ONCE):
            piece = sessions[start : start + READ_AT_ONCE]
            heads = await self._sync.ring_heads([session.device.user_id for session in piece])
            for session, head in zip(piece, heads, strict=True):
                if head is None:
                    self._read_store(session, beat)
                else:
                    _tell_one(session, head, beat)

    def _read_store(self, session: Session, beat: bool) -> None:
        sessions = self._without_ring.setdefault(session.device.user_id, {})
        sessions[session] = beat or sessions.get(session, False)
        if len(self._readers) < STORE_READS_AT_ONCE:
            reader = asyncio.create_task(self._read_stores())
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    async def _read_stores(self) -> None:
        while self._without_ring:
            user = next(iter(self._without_ring))
            sessions = self._without_ring.pop(user)
            try:
                head = await self._sync.begin_ring(user)
            except RingpostError:
                head = 0  # the store does not answer: a heartbeat still shows that we are there
            for session, beat in sessions.items():
                _tell_one(session, max(head, session.sent), beat)


def _tell_one(session: Session, head: int, beat: bool) -> None:
    if beat:
        session.heartbeat(head)
    else:
        session.check(head)
