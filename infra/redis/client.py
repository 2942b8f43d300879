"""The Redis client and its scripts."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError, ReadOnlyError

from domain.errors import Internal, Unavailable
from infra.addresses import REDIS_FORM
from infra.redis.link import NOT_ALLOWED, Link, translated
from infra.redis.sentinel import SCHEMES, open_primary
from infra.redis.wire import Command
from infra.settings import RedisSettings, SettingsError

_LUA = Path(__file__).parent / "lua"
CALLS_AT_ONCE = 1_000
REFUSED = "Redis refused a command."
_NOT_IN_A_SCRIPT = ("ACL failure in script", "executing the script can't")
"""What Redis 7.2 and later, and earlier ones, say of a command in a script that the user may not run."""

_FAULTS = ("ERR", "WRONGTYPE")
"""How the error of a wrong script begins. All other errors say that the server cannot run it now."""

Call = tuple[Sequence[str], Sequence[Any]]
"""The keys and the arguments of one call of a script."""


@cache
def script_source(name: str) -> str:
    """The whole text of a script, as Redis gets it."""
    return "".join((_LUA / f"{part}.lua").read_text() for part in ("generation", "recent", name))


@cache
def _script_sha(name: str) -> str:
    return hashlib.sha1(script_source(name).encode()).hexdigest()


class Client(Redis):
    """redis-py's client, except that all its commands share one connection behind a breaker.

    Pub/sub has a connection of its own. There are no transactions and no blocking commands.
    """

    def __init__(self, pool: ConnectionPool, timeout_s: float) -> None:
        super().__init__(connection_pool=pool)
        self.link = Link(pool, timeout_s)

    async def run(self, commands: Sequence[Command], refusal: str = REFUSED) -> list[Any]:
        """The replies in order, from one round trip. Commands may be run twice if the connection breaks.

        Raises Unavailable, in the words of `refusal` if Redis replies with an error.
        """
        replies = await self.link.run(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise Unavailable(refusal) from reply
        return replies

    async def call(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The reply of one call of a script of `lua/`. Raises Unavailable."""
        return (await self.call_each(script, [(keys, args)]))[0]

    async def call_each(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """The replies of all calls. They run in order, in few round trips. Raises Unavailable."""
        sha = _script_sha(script)
        commands: list[Command] = [("EVALSHA", sha, len(keys), *keys, *args) for keys, args in calls]
        replies: list[Any] = []
        for start in range(0, len(commands), CALLS_AT_ONCE):
            replies += await self._called(script, commands[start : start + CALLS_AT_ONCE])
        return replies

    async def _called(self, script: str, commands: Sequence[Command]) -> list[Any]:
        """A server that lost the script gets it again, with the calls that it refused for this."""
        replies = await self.link.run(commands)
        refused = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if refused:
            again = [commands[index] for index in refused]
            loaded, *later = await self.link.run([("SCRIPT", "LOAD", script_source(script)), *again])
            if isinstance(loaded, Exception):
                self._raise(loaded)
            for index, reply in zip(refused, later, strict=True):
                replies[index] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                self._raise(reply)
        return replies

    def _raise(self, error: Exception) -> None:
        """Raises Internal for a fault in the script, and Unavailable if the server cannot run it now."""
        if isinstance(error, ReadOnlyError):  # it was the primary: whoever is it now needs new connections
            self.link.reconnect()
        if isinstance(error, NoPermissionError) or any(words in str(error) for words in _NOT_IN_A_SCRIPT):
            raise Unavailable(NOT_ALLOWED) from error
        if str(error).startswith(_FAULTS):
            raise Internal("A Redis script failed.") from error
        raise Unavailable(REFUSED) from error

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command, with the reply in redis-py's form. Raises Unavailable, or redis-py's error."""
        (reply,) = await self.link.run([(*args[0].split(), *args[1:])])
        if isinstance(reply, Exception):
            raise reply
        options.pop("keys", None)
        form = self.response_callbacks.get(args[0])
        return reply if form is None else form(reply, **options)


@asynccontextmanager
async def open_redis(settings: RedisSettings) -> AsyncIterator[Client]:
    """A client for the length of the block. It connects on first use. SettingsError for a bad URL.

    Behind Sentinel it follows the primary: calls fail as Unavailable until the new one is known.
    """
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 1),
    }
    if settings.tls is not None:  # an option in the URL wins over these
        options["ssl_ca_certs"] = settings.ca_file or None
        options["ssl_certfile"] = settings.cert_file or None
        options["ssl_keyfile"] = settings.key_file or None
    async with AsyncExitStack() as opened:
        try:
            if settings.url.partition(":")[0] in SCHEMES:
                pool: ConnectionPool = await opened.enter_async_context(open_primary(settings, **options))
            else:
                pool = ConnectionPool.from_url(settings.url, **options)
                opened.push_async_callback(pool.aclose)
            client = Client(pool, settings.timeout_s)
        except ValueError:  # its words may quote the password
            raise SettingsError(f"RINGPOST_REDIS_URL must be {REDIS_FORM}.") from None
        opened.push_async_callback(client.link.aclose)
        yield client


async def ping(client: Redis) -> str:
    """The server's version. Unavailable when it does not answer."""
    with translated():
        info = await client.info("server")
    return str(info["redis_version"])
