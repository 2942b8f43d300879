"""Real engines of several members, as processes on loopback, that a test kills, pauses and starts again.

The members are those of `infra.local`: from the same programs, and gone with the thread that started them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from redis.asyncio import Redis

from infra.local.redis import RedisServer
from infra.local.server import Server
from tests.builders import until


class Member:
    """One server of a cluster."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def port(self) -> int:
        return self.server.ports[self.server.port_names[0]]

    async def kill(self) -> None:
        """SIGKILL; it is gone at return."""
        os.kill(self.server.pid, signal.SIGKILL)
        await self.server.wait()

    def pause(self) -> None:
        """It does nothing from now on, and its connections stay open."""
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.server.pid, signal.SIGCONT)

    async def restart(self) -> None:
        """On the same data and address; stopped first if it runs. It serves at return."""
        await self.server.restart()

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.go_on()
        await self.server.stop()


@asynccontextmanager
async def _running(servers: Sequence[Server]) -> AsyncIterator[list[Member]]:
    """Started side by side; stopped, paused ones too, however the block ends."""
    members = [Member(server) for server in servers]
    try:
        async with asyncio.TaskGroup() as starting:
            for server in servers:
                starting.create_task(server.start())
        yield members
    finally:
        await asyncio.gather(*(member.stop() for member in members))


@contextmanager
def _folders(count: int) -> Iterator[list[Path]]:
    with TemporaryDirectory(prefix="ringpost-test-") as folder:
        yield [Path(folder) / str(number) for number in range(count)]


# ------------------------------------------------------------------ Redis


class RedisPair:
    """A primary and its replica, which has everything at the start."""

    def __init__(self, primary: Member, replica: Member) -> None:
        self.primary = primary
        self.replica = replica

    async def follow(self) -> None:
        """The replica takes over what the primary has; returns once it has all of it."""
        async with redis_of(self.replica) as client:
            await client.replicaof("127.0.0.1", str(self.primary.port))
        async with redis_of(self.primary) as client:
            await until(lambda: client.wait(1, 200))

    async def cut(self) -> None:
        """The replica gets nothing from now on; the primary does not mind."""
        async with redis_of(self.replica) as client:
            await client.replicaof("127.0.0.1", "1")

    async def promote(self) -> None:
        """The replica becomes a primary with what it has."""
        async with redis_of(self.replica) as client:
            await client.replicaof("NO", "ONE")


def redis_of(member: Member) -> Redis:
    """A client of this one member."""
    return Redis(host="127.0.0.1", port=member.port, socket_timeout=5)


@asynccontextmanager
async def redis_pair() -> AsyncIterator[RedisPair]:
    with _folders(2) as folders:
        async with _running([RedisServer(folder, print) for folder in folders]) as members:
            pair = RedisPair(*members)
            await pair.follow()
            yield pair
