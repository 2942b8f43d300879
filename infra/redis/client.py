"""The Redis client and its scripts. Only this file turns Redis errors into ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from domain.errors import Internal, Unavailable
from infra.addresses import REDIS_FORM
from infra.redis.sentinel import SCHEMES, open_primary
from infra.settings import RedisSettings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LUA = Path(__file__).parent / "lua"
Client = Redis
CONNECTIONS = 64
CALLS_AT_ONCE = 1_000
NOT_ALLOWED = "Redis does not allow a command to the user. `ringpost doctor` says which right is missing."
_NOT_IN_A_SCRIPT = ("ACL failure in script", "executing the script can't")
"""What Redis 7.2 and later, and earlier ones, say of a command in a script that the user may not run."""

_PASSING = ("BUSY", "MISCONF", "NOREPLICAS")  # what passes by itself and has no error class of its own


@contextmanager
def translated() -> Iterator[None]:
    """Redis errors become Unavailable."""
    try:
        yield
    except AuthenticationError as error:
        raise Unavailable("Redis refuses the user or the password in RINGPOST_REDIS_URL.") from error
    except NoPermissionError as error:
        raise Unavailable(NOT_ALLOWED) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis does not answer.") from error


@asynccontextmanager
async def open_redis(settings: RedisSettings) -> AsyncIterator[Redis]:
    """A client for the length of the block. It connects on first use. SettingsError for a bad URL.

    Behind Sentinel it follows the primary: calls fail as Unavailable until the new one is known.
    """
    options: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": settings.timeout_s,
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 1),
        **_tls_options(settings),
    }
    async with AsyncExitStack() as opened:
        try:
            if settings.url.partition(":")[0] in SCHEMES:
                client = await opened.enter_async_context(open_primary(settings, **options))
            else:
                client = Redis.from_pool(BlockingConnectionPool.from_url(settings.url, **options))
                opened.push_async_callback(client.aclose)
        except ValueError:  # its words may quote the password
            raise SettingsError(f"RINGPOST_REDIS_URL must be {REDIS_FORM}.") from None
        yield client


def _tls_options(settings: RedisSettings) -> dict[str, Any]:
    """Of a connection with TLS; an option in the URL wins over it."""
    if settings.tls is None:
        return {}
    named = {
        "ssl_ca_certs": settings.ca_file,
        "ssl_certfile": settings.cert_file,
        "ssl_keyfile": settings.key_file,
    }
    return {name: path for name, path in named.items() if path}


@cache
def script_source(name: str) -> str:
    """The whole text of a script, as Redis gets it."""
    return "".join((_LUA / f"{part}.lua").read_text() for part in ("generation", name))


class LuaScript:
    """One script of `lua/`, called alone or many times in one round trip.

    A server that lost its scripts gets them again. Calls that it refused for this are repeated.
    """

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._script: Script = Script(client, script_source(name))  # type: ignore[arg-type]

    async def call(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The reply of one call. Raises Unavailable."""
        return (await self.call_each([(keys, args)]))[0]

    async def call_each(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """The replies of all calls. They run in order, in few round trips. Raises Unavailable."""
        replies: list[Any] = []
        for start in range(0, len(calls), CALLS_AT_ONCE):
            replies += await self._round_trip(calls[start : start + CALLS_AT_ONCE])
        return replies

    async def _round_trip(self, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        replies: list[Any] = [None] * len(calls)
        waiting = list(range(len(calls)))
        for _ in range(3):
            with translated():
                pipe = self._client.pipeline(transaction=False)
                for index in waiting:
                    keys, args = calls[index]
                    pipe.evalsha(self._script.sha, len(keys), *keys, *args)
                results = await pipe.execute(raise_on_error=False)
            again = []
            for index, result in zip(waiting, results, strict=True):
                if isinstance(result, NoScriptError):
                    again.append(index)
                elif isinstance(result, Exception):
                    await self._raise(result)
                else:
                    replies[index] = result
            if not again:
                return replies
            waiting = again
            with translated():
                await self._client.script_load(self._script.script)
        raise Unavailable("Redis lost a script right after it was loaded.")

    async def _raise(self, error: Exception) -> None:
        """Raises Internal for a fault in the script, and Unavailable if the server cannot run it now."""
        if isinstance(error, ReadOnlyError):  # it was the primary: whoever is it now needs new connections
            await self._client.connection_pool.disconnect(inuse_connections=False)
        if isinstance(error, NoPermissionError) or any(words in str(error) for words in _NOT_IN_A_SCRIPT):
            raise Unavailable(NOT_ALLOWED) from error
        if type(error) is ResponseError and not str(error).startswith(_PASSING):
            raise Internal("A Redis script failed.") from error
        raise Unavailable("Redis refused a command.") from error


async def ping(client: Redis) -> str:
    """The server's version. Unavailable when it does not answer."""
    with translated():
        info = await client.info("server")
    return str(info["redis_version"])
