"""A device's end of a connection, without a network between: what it is sent, and whether it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.gateway.hub import Hub
from api.gateway.session import Session
from api.sync import Sync
from domain.devices import Device
from domain.entries import Entry
from infra.mongo.timelines import Line
from infra.redis.ring import Ring
from infra.tasks import ended
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


class Wire:
    """The device's end of the socket, which may stop reading."""

    def __init__(self) -> None:
        self.frames: list[dict] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.code: int | None = None

    async def write(self, text: str) -> None:
        await self.reading.wait()
        self.frames.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.code = code

    @property
    def seqs(self) -> list[int]:
        return [entry["seq"] for frame in self.frames for entry in frame.get("entries", ())]


@asynccontextmanager
async def connected(stores, user: str = "ann") -> AsyncIterator[tuple[Session, Wire]]:
    wire = Wire()
    sync = Sync(Ring(stores.redis, stores.keys, stores.settings.ring), stores.timelines, stores.messages)
    session = Session(Device(user, "phone"), sync, wire.write, wire.close, QUEUE_BYTES)
    writing = asyncio.create_task(session.run_writer())
    try:
        yield session, wire
    finally:
        await ended([writing])


@asynccontextmanager
async def joined(hub: Hub, session: Session) -> AsyncIterator[None]:
    """The session is at the hub for the length of the block."""
    await hub.join(session)
    try:
        yield
    finally:
        hub.leave(session)
