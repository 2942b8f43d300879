"""The way to Redis: one shared connection, made again when it is lost, and a breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, SSLConnection
from redis.asyncio.connection import UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from domain.errors import Unavailable
from infra.breaker import Breaker
from infra.redis.sentinel import PrimaryPool
from infra.redis.wire import LOOKS, Command, Wire
from infra.tasks import ended

T = TypeVar("T")
OPEN_BYTES = 64_000_000
NOT_ALLOWED = "Redis does not allow a command to the user. `ringpost doctor` says which right is missing."


@contextmanager
def translated() -> Iterator[None]:
    """Redis errors become Unavailable."""
    try:
        yield
    except AuthenticationError as error:
        raise Unavailable("Redis refuses the user or the password in RINGPOST_REDIS_URL.") from error
    except NoPermissionError as error:
        raise Unavailable(NOT_ALLOWED) from error
    except (RedisError, OSError) as error:
        raise Unavailable("Redis does not answer.") from error


class Link:
    """Runs commands on one connection. It connects on first use, to where the pool's settings say.

    Nobody waits for a Redis that is known not to answer: see `Breaker`. At most `OPEN_BYTES` of commands wait
    for a reply. Commands whose connection was closed are sent once more, so they must bear to be run twice.
    """

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        self._primary = pool if isinstance(pool, PrimaryPool) else None
        # Never connected. It holds the address, the user and the TLS.
        self._given = pool.make_connection()  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s
        self._breaker = Breaker("redis", self._connect)
        self._wire: Wire | None = None
        self._address: tuple[str, int] | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The replies in order; an error reply is an exception in the list. Raises Unavailable."""
        if self._primary is not None and self._primary.master_address != self._address:
            self.reconnect()
        for _ in range(2):
            wire = self._wire or await self._connected()
            if wire.open_bytes > OPEN_BYTES:
                raise Unavailable("Too many commands wait for Redis.")
            try:
                return await wire.ask(commands)
            except ConnectionError:
                continue  # the server may have closed it long ago
            except TimeoutError:
                break
        raise Unavailable("Redis does not answer.")

    def reconnect(self) -> None:
        """Use a new connection from the next command on."""
        if self._wire is not None:
            self._wire.end(ConnectionError("left"))

    async def aclose(self) -> None:
        """Close the connection. Nothing may run any more."""
        await self._breaker.aclose()
        if self._connecting is not None:
            await ended([self._connecting])
        self.reconnect()

    async def _connected(self) -> Wire:
        """Callers at the same time share one try. Raises Unavailable."""
        self._breaker.check()
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect_or_open())
        await asyncio.shield(self._connecting)
        self._breaker.check()
        if self._wire is None:
            raise Unavailable("Redis closed the connection.")
        return self._wire

    async def _connect_or_open(self) -> None:
        """One failure may be that of a connection. After two the engine is away."""
        with suppress(Unavailable):
            await self._connect()
            return
        try:
            await self._connect()
        except Unavailable as error:
            self._breaker.open(error)

    async def _connect(self) -> None:
        """Raises Unavailable. Each of its steps takes at most the timeout."""
        with translated():
            address, wire = await self._dial()
            try:
                await self._greet(wire)
            except BaseException:
                wire.end(ConnectionError("left"))
                raise
        self.reconnect()
        self._wire, self._address = wire, address

    async def _dial(self) -> tuple[tuple[str, int] | None, Wire]:
        loop, given, address = asyncio.get_running_loop(), self._given, None

        def make() -> Wire:
            return Wire(self._timeout_s, self._ended)

        if isinstance(given, UnixDomainSocketConnection):
            return None, (await self._in_time(loop.create_unix_connection(make, given.path)))[1]
        if self._primary is not None:
            host, port = address = await self._in_time(self._primary.get_master_address())
        else:
            host, port = given.host, given.port
        tls = given.ssl_context.get() if isinstance(given, SSLConnection) else None
        return address, (await self._in_time(loop.create_connection(make, host, port, ssl=tls)))[1]

    async def _in_time(self, step: Coroutine[Any, Any, T]) -> T:
        """Raises TimeoutError. Like a wire it counts looks, so a process that was stopped is not late."""
        task = asyncio.create_task(step)
        try:
            for _ in range(LOOKS):
                await asyncio.wait([task], timeout=self._timeout_s / LOOKS)
                if task.done():
                    return task.result()
            raise TimeoutError("Redis takes too long")
        finally:
            await ended([task])

    async def _greet(self, wire: Wire) -> None:
        """Sign in. It ends when Redis answers a PING, also with one that the user may not ask."""
        given = self._given
        login = [part for part in (given.username, given.password) if part]
        commands: list[Command] = [("AUTH", *login)] if given.password else []
        if given.db:
            commands.append(("SELECT", given.db))
        commands.append(("PING",))
        for command, reply in zip(commands, await wire.ask(commands), strict=True):
            if isinstance(reply, ResponseError) and command[0] == "AUTH":
                raise AuthenticationError(str(reply))
            if isinstance(reply, Exception) and not isinstance(reply, NoPermissionError):
                raise reply

    def _ended(self, wire: Wire, error: Exception) -> None:
        if wire is self._wire:
            self._wire = None
            if isinstance(error, TimeoutError):
                self._breaker.open(Unavailable("Redis does not answer."))
