"""Redis behind Sentinel: connections to the server that is the primary now.

`redis+sentinel://[[user]:password@]host[:port],host[:port]…/name[/db]`: the Sentinels, and the name under
which they watch the primary. User and password are those of the Redis servers; other settings name those of
the Sentinels. With `rediss+sentinel://` the connections to both use TLS.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from infra.addresses import Address, hosts_of
from infra.settings import RedisSettings
from infra.tasks import ended

SCHEMES = ("redis+sentinel", "rediss+sentinel")
LOOK_S = 1.0
ASK_S = 0.5


class SentinelUrl(NamedTuple):
    sentinels: list[Address]
    name: str
    db: int
    username: str | None
    password: str | None


def parse_url(url: str) -> SentinelUrl:
    """The parts of an address whose form the settings have checked."""
    address = re.split(r"[?#]", url)[0]
    authority, _, path = address.partition("://")[2].partition("/")
    username, _, password = (unquote(part) for part in authority.rpartition("@")[0].partition(":"))
    name, _, db = path.strip("/").partition("/")
    return SentinelUrl(hosts_of(url), name, int(db or 0), username or None, password or None)


class PrimaryPool(SentinelConnectionPool):
    """Connections to a server that is no longer the primary are closed, not used again."""

    asking: asyncio.Task[tuple[str, int]] | None = None

    async def get_master_address(self) -> tuple[str, int]:
        """One question to the Sentinels at a time. Calls that come meanwhile share its answer.

        redis-py swaps the Sentinel that answers to the head of its list. Two that do so at once, because
        the first one was slow, drop it from the list for good, with its open connections.
        """
        if self.asking is None or self.asking.done():
            self.asking = asyncio.create_task(super().get_master_address())  # type: ignore[no-untyped-call]
        return await asyncio.shield(self.asking)

    async def release(self, connection: AbstractConnection) -> None:
        if (connection.host, connection.port) != self.master_address:  # type: ignore[attr-defined]
            await connection.disconnect()
        await super().release(connection)

    async def follow(self) -> None:
        """Look for the primary now and then, so that idle connections to an earlier one are closed too.

        A primary that was only paused goes on as primary until Sentinel tells it otherwise. A client that
        kept its connection would read and write data that no other client sees.
        """
        while True:
            with suppress(RedisError, OSError, TimeoutError):
                await self.get_master_address()
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_primary(settings: RedisSettings, **options: Any) -> AsyncIterator[PrimaryPool]:
    """A pool that follows the primary. `options` are those of a pool."""
    given = parse_url(settings.url)
    if settings.tls is not None:
        options["ssl"] = True
    ask_s = min(ASK_S, settings.timeout_s)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        given.sentinels,
        sentinel_kwargs={
            "socket_timeout": ask_s,
            "socket_connect_timeout": ask_s,
            "retry": Retry(NoBackoff(), 0),
            "username": settings.sentinel_username or None,
            "password": settings.sentinel_password.get_secret_value() or None,
            **{name: value for name, value in options.items() if name.startswith("ssl")},
        },
    )
    pool = PrimaryPool(  # type: ignore[no-untyped-call]
        given.name, sentinel, db=given.db, username=given.username, password=given.password, **options
    )
    following = asyncio.create_task(pool.follow(), name="follow the Redis primary")
    try:
        yield pool
    finally:
        await ended([following])
        if pool.asking is not None:
            await ended([pool.asking])
        await pool.aclose()
        for one in sentinel.sentinels:
            await one.aclose()
