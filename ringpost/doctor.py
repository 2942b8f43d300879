"""Looks at everything that Ringpost needs, and says what to do if something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from domain.errors import RingpostError
from infra.kafka.clients import Log
from infra.kafka.groups import GroupTool
from infra.kafka.topics import ARRIVALS, DELIVERIES, TopicTool
from infra.mongo.client import Database, open_database
from infra.mongo.indexes import missing_indexes
from infra.mongo.outbox import OutboxStore
from infra.reach import Target, obstacle, targets
from infra.redis.client import open_redis, ping
from infra.settings import Settings
from ringpost.finding import Ailing, Finding, found
from ringpost.name import command_name
from ringpost.parts import api, consumer, relay, worker_at
from ringpost.rights import ALL, kafka_rights, mongo_rights, redis_rights

__all__ = ["Finding", "examine"]


async def examine(
    settings: Settings, url: str, rights_of: Sequence[str] = (), workers: Sequence[str] = ()
) -> list[Finding]:
    """All findings. It never raises because an engine or a part of Ringpost is away.

    The API is asked at `url`, and each of `workers` at its own address.
    With `rights_of` it looks at the engines only, and the user needs no more rights than these parts.
    """
    log, parts = Log(settings.kafka), rights_of or ALL
    mongo, kafka, at_redis = targets(settings)
    async with open_database(settings.mongo) as database, open_redis(settings.redis) as redis:
        store = asyncio.create_task(_engine("MongoDB", mongo, database.ping))
        cache = asyncio.create_task(_engine("Redis", at_redis, partial(ping, redis)))
        queue = asyncio.create_task(_engine("Kafka", kafka, log.version))
        looks: list[Awaitable[Finding]] = [
            store,
            found("MongoDB topology", lambda: _topology(database), "It must be a replica set.", store),
            found("MongoDB rights", lambda: mongo_rights(database, settings, parts), engine=store),
            found("indexes", lambda: _indexes(database), "They are made when the API starts.", store),
            cache,
            found("Redis rights", lambda: redis_rights(redis, settings, parts), engine=cache),
            queue,
            found("Kafka rights", lambda: kafka_rights(log, parts), engine=queue),
            found("topics", lambda: _topics(log), f"Run `{command_name()} topics create`.", queue),
        ]
        if not rights_of:
            outbox, groups = OutboxStore(database), GroupTool(log)
            with_kafka = "Whether it runs is known once Kafka answers."
            with_mongo = "Whether it runs is known once MongoDB answers."
            looks += [
                found("API", partial(api, url, outbox)),
                found("worker inbox", partial(consumer, "inbox", DELIVERIES, groups), with_kafka, queue),
                found("worker push", partial(consumer, "push", ARRIVALS, groups), with_kafka, queue),
                found("worker relay", partial(relay, outbox), with_mongo, store),
                *(found(f"worker at {place}", partial(worker_at, place)) for place in workers),
            ]
        return list(await asyncio.gather(*looks))


async def _engine(name: str, target: Target, ask: Callable[[], Awaitable[str]]) -> Finding:
    """Whether the engine answers, or why not if that is known."""

    async def look() -> str:
        try:
            return await ask()
        except RingpostError as error:
            if reason := await obstacle(target):
                raise Ailing(reason) from error
            raise

    return await found(name, look, f"Check {target.variable}.")


async def _topology(database: Database) -> str:
    topology = await database.topology()
    if topology == "standalone":
        raise RingpostError("The server is alone.")
    return topology


async def _indexes(database: Database) -> str:
    missing = await missing_indexes(database)
    return _none([f"{one.collection}.{one.name}" for one in missing])


async def _topics(log: Log) -> str:
    return _none(await TopicTool(log).missing())


def _none(missing: Sequence[str]) -> str:
    if missing:
        raise RingpostError("Missing: " + ", ".join(missing) + ".")
    return "all there"
