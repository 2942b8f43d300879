"""A device's end of a connection, without a network between: what it is sent, and whether it reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from api.gateway.frames import Close
from api.gateway.hub import Hub
from api.gateway.session import Session
from api.sync import Sync
from domain.devices import Device
from domain.entries import Entry
from infra.mongo.timelines import Line
from infra.redis.ring import Ring
from tests.builders import stored

QUEUE_BYTES = 2_000


async def arrive(stores, first: int, last: int) -> list[Entry]:
    """Ann's inbox has these entries; nobody was told."""
    messages = [stored("d:ann:bob", seq) for seq in range(first, last + 1)]
    await stores.messages.insert(messages)
    await stores.timelines.append([Line("ann", m.seq, "d:ann:bob", m.seq) for m in messages])
    entries = [Entry(m.seq, m.message) for m in messages]
    await Ring(stores.redis, stores.keys, stores.settings.ring).append([("ann", entries)])
    return entries


class Reading:
    """Whether the device reads. It tells the session, as a socket does."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def clear(self) -> None:
        self._wire.session.pause()

    def set(self) -> None:
        self._wire.session.resume()


class Wire:
    """The device's end of the socket, which may stop reading."""

    session: Session

    def __init__(self) -> None:
        self.frames: list[dict] = []
        self.writes = 0
        self.reading = Reading(self)
        self.code: int | None = None

    def write(self, frames: Sequence[bytes]) -> None:
        assert self.code is None, "written behind the close"
        self.writes += 1
        self.frames += map(json.loads, frames)

    def close(self, code: Close) -> None:
        if self.code is None:
            self.code = code
            self.session.ended()

    @property
    def seqs(self) -> list[int]:
        return [entry["seq"] for frame in self.frames for entry in frame.get("entries", ())]


@asynccontextmanager
async def connected(
    stores, user: str = "ann", sync: Sync | None = None
) -> AsyncIterator[tuple[Session, Wire]]:
    wire = Wire()
    ring = Ring(stores.redis, stores.keys, stores.settings.ring)
    sync = sync or Sync(ring, stores.timelines, stores.contents)
    wire.session = session = Session(Device(user, "phone"), sync, wire, QUEUE_BYTES)
    try:
        yield session, wire
    finally:
        session.ended()


@asynccontextmanager
async def joined(hub: Hub, session: Session) -> AsyncIterator[None]:
    """The session is at the hub for the length of the block."""
    await hub.join(session)
    try:
        yield
    finally:
        hub.leave(session)
