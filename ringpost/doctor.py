"""Looks at everything Ringpost needs, and says what to do about what is not right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.errors import RingpostError
from infra.kafka.clients import Log
from infra.kafka.topics import TopicTool
from infra.mongo.client import Database, open_database
from infra.mongo.indexes import missing_indexes
from infra.redis.client import open_redis, ping
from infra.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `said` is what was found, or what to do."""

    name: str
    ok: bool
    said: str

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'BAD'}  {self.name}: {self.said}"


async def examine(settings: Settings) -> list[Finding]:
    """All findings; never raises for an engine that is not there."""
    log = Log(settings.kafka)
    async with open_database(settings.mongo) as database, open_redis(settings.redis) as redis:
        return [
            await _found("MongoDB", database.ping, "Check RINGPOST_MONGO_URL."),
            await _found("MongoDB topology", lambda: _topology(database), "It must be a replica set."),
            await _found("indexes", lambda: _indexes(database), "They are made when the API starts."),
            await _found("Redis", lambda: ping(redis), "Check RINGPOST_REDIS_URL."),
            await _found("Kafka", log.version, "Check RINGPOST_KAFKA_BOOTSTRAP."),
            await _found("topics", lambda: _topics(log), "Run `ringpost topics create`."),
        ]


async def _found(name: str, look: Callable[[], Awaitable[str]], advice: str) -> Finding:
    try:
        return Finding(name, True, await look())
    except RingpostError as error:
        return Finding(name, False, f"{error.message} {advice}")


async def _topology(database: Database) -> str:
    topology = await database.topology()
    if topology == "standalone":
        raise RingpostError("The server is alone.")
    return topology


async def _indexes(database: Database) -> str:
    missing = await missing_indexes(database)
    if missing:
        raise RingpostError("Missing: " + ", ".join(f"{one.collection}.{one.name}" for one in missing) + ".")
    return "all there"


async def _topics(log: Log) -> str:
    missing = await TopicTool(log).missing()
    if missing:
        raise RingpostError("Missing: " + ", ".join(missing) + ".")
    return "all there"
