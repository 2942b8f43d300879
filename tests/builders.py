"""Builders: what tests need, in one word each. What is opened here is closed, and its database dropped."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pymongo
import pytest
from msgspec import Raw

from domain.changes import Change
from domain.clock import now_ms
from domain.conversations import Conversation
from domain.devices import User
from domain.entries import Entry
from domain.ids import ConversationId, UserId, direct_id, message_id
from domain.messages import Draft, Message
from infra.kafka.clients import Log
from infra.kafka.topics import DELIVERIES
from infra.mongo.accounts import AccountStore
from infra.mongo.client import Database, open_database
from infra.mongo.contents import Contents
from infra.mongo.conversations import ConversationStore
from infra.mongo.indexes import ensure_schema
from infra.mongo.messages import MessageStore, Stored
from infra.mongo.outbox import OutboxStore
from infra.mongo.timelines import TimelineStore
from infra.mongo.unread import UnreadCounts
from infra.redis.client import Client, open_redis
from infra.redis.keys import Keys
from infra.redis.sequence import Sequence
from infra.settings import Settings
from producers.changes import Changes
from producers.wiring import Clients, SendPath, open_clients, send_path
from tests.patience import PATIENCE_S

PARTITIONS = 4
ANN, BOB, CEM, DEA = (UserId(name) for name in ("ann", "bob", "cem", "dea"))
ANN_BOB = direct_id(ANN, BOB)
GROUP = ConversationId("g:abcdefghijklmnop")
_numbers = itertools.count(1)


def examples(count: int) -> int:
    """How many examples a model test tries: what is enough for every day, times RINGPOST_TEST_EXAMPLES."""
    return count * int(os.environ.get("RINGPOST_TEST_EXAMPLES") or 1)


def draft(
    conversation: ConversationId = ANN_BOB,
    sender: UserId = ANN,
    text: str = "hello",
    client_message_id: str | None = None,
) -> Draft:
    """A text, with a client_message_id of its own unless one is given."""
    name = client_message_id or f"c{next(_numbers)}"
    return Draft(conversation, sender, name, "text", Raw(json.dumps({"text": text}).encode()))


def stored(
    conversation: ConversationId, seq: int, sender: UserId = ANN, client_message_id: str | None = None
) -> Stored:
    """A message as it lies in the store, as if its send had got this seq."""
    made = draft(conversation, sender, f"text {seq}", client_message_id)
    message = Message(
        message_id(conversation, seq),
        conversation,
        seq,
        sender,
        made.client_message_id,
        made.kind,
        made.body,
        "2026-01-02T03:04:05.678Z",
    )
    return Stored(conversation, seq, sender, made.key(), made.content_hash(), message.encode())


def stored_change(change: Change, seq: int) -> Stored:
    """A change as it lies in the store, as if it had got this seq. It has no effect yet."""
    encoded = change.encode(f"2026-01-02T03:04:{seq % 60:02}.678Z")
    names = change.conversation_id, seq, change.sender_id
    return Stored(*names, change.key(), change.content_hash(), encoded, change.type, change.target)


def entries(first: int, last: int) -> list[Entry]:
    """Entries with the numbers first … last, each with bytes of its own."""
    return [Entry(seq, b'{"n":%d}' % seq) for seq in range(first, last + 1)]


def conversation(
    conversation_id: ConversationId, title: str | None = None, owner: UserId | None = None
) -> Conversation:
    kind = "direct" if conversation_id.startswith("d:") else "group"
    return Conversation(conversation_id, kind, title, now_ms(), owner=owner)


def settings_for(servers: Any, unique: str, **parts: dict[str, Any]) -> Settings:
    """Settings on these servers, with a database, topics and keys of the test's own.

    `parts` change them: `settings_for(servers, unique, ring={"capacity": 2})`. The environment does not.
    """
    tables: dict[str, dict[str, Any]] = {
        "mongo": {"url": servers.mongo_url, "database": unique},
        "kafka": {
            "bootstrap": servers.kafka_bootstrap,
            "topic_prefix": f"{unique}.",
            "partitions": PARTITIONS,
        },
        "redis": {"url": servers.redis_url, "key_prefix": f"{unique}:"},
    }
    for name, values in parts.items():
        tables[name] = {**tables.get(name, {}), **values}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
            patch.delenv(name)
        return Settings(tables)


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """The database with its collections and indexes; dropped afterwards."""
    async with open_database(settings.mongo) as database:
        await ensure_schema(database)
        try:
            yield database
        finally:
            await database.drop()


@asynccontextmanager
async def opened_redis(settings: Settings) -> AsyncIterator[Client]:
    """The client; the keys of this test are deleted afterwards."""
    async with open_redis(settings.redis) as client:
        try:
            yield client
        finally:
            await forget_redis(client, settings)


async def forget_redis(client: Client, settings: Settings) -> None:
    """Redis loses everything that it holds for this test, as after a flush."""
    keys = [key async for key in client.scan_iter(f"{settings.redis.key_prefix}*", count=1000)]
    if keys:
        await client.delete(*keys)


async def generation_of(client: Client) -> bytes:
    """How elements written now name the generation of this Redis."""
    return bytes.fromhex((await client.info("replication"))["master_replid"][:8])


class Stores:
    """What tests fill and look into, in MongoDB and Redis."""

    def __init__(self, settings: Settings, database: Database, redis: Client) -> None:
        self.settings, self.database, self.redis = settings, database, redis
        self.keys = keys_of(settings)
        self.messages = MessageStore(database)
        self.contents = Contents(self.messages)
        self.timelines = TimelineStore(database)
        self.conversations = ConversationStore(database)
        self.accounts = AccountStore(database)
        self.outbox = OutboxStore(database)
        self.sequence = Sequence(redis, self.keys)
        self.changes = Changes(self.messages, self.conversations, self.contents, UnreadCounts(database))


def stores_on(clients: Clients) -> Stores:
    return Stores(clients.settings, clients.database, clients.redis)


@asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[Stores]:
    async with opened_database(settings) as database, opened_redis(settings) as redis:
        yield Stores(settings, database, redis)


@asynccontextmanager
async def opened_without_kafka(settings: Settings) -> AsyncIterator[Clients]:
    """For what does not publish. Quicker than `opened_clients`."""
    log = Log(settings.kafka)
    async with opened_stores(settings) as stores, log.progress("inbox", DELIVERIES) as inbox:
        engines = stores.database, stores.redis, log
        yield Clients(settings, *engines, None, inbox, settings.kafka.partitions)  # type: ignore[arg-type]


@asynccontextmanager
async def opened_clients(settings: Settings) -> AsyncIterator[Clients]:
    """All three engines with fresh topics; database and keys are removed afterwards."""
    async with open_clients(settings) as clients:
        try:
            yield clients
        finally:
            await forget_redis(clients.redis, settings)
            await clients.database.drop()


async def add_users(stores: Stores, *users: UserId) -> list[User]:
    return [await stores.accounts.put_user(user, user.title(), now_ms()) for user in users]


@dataclass(frozen=True)
class Town:
    """Ann, Bob, Cem and Dea, and a send path that they share."""

    clients: Clients
    stores: Stores
    path: SendPath

    async def send(self, made: Draft) -> Any:
        return await self.path.sender.send(made)

    async def group(self, *members: UserId) -> ConversationId:
        """A group; the first member owns it."""
        owner, *others = members
        return (await self.path.groups.create(owner, None, others)).conversation_id

    async def direct(self, one: UserId = ANN, other: UserId = BOB) -> ConversationId:
        return (await self.path.groups.open_direct(one, other, "to"))[0]


async def open_town(clients: Clients) -> Town:
    stores = stores_on(clients)
    await add_users(stores, ANN, BOB, CEM, DEA)
    return Town(clients, stores, await send_path(clients))


@asynccontextmanager
async def running(*services: Any) -> AsyncIterator[None]:
    """Services at work for the length of the block, then stopped in order; a failure is raised."""
    tasks = [asyncio.create_task(service.run(), name=service.name) for service in services]
    try:
        yield
    finally:
        for service, task in zip(services, tasks, strict=True):
            service.stop()
            await asyncio.wait_for(task, PATIENCE_S)


async def until(
    holds: Callable[[], Any | Awaitable[Any]], deadline_s: float = PATIENCE_S, every_s: float = 0.02
) -> Any:
    """Ask again and again until the answer is true, and return it; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        answer = holds()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < end, f"not so within {deadline_s} s: last answer {answer!r}"
        await asyncio.sleep(every_s)


def keys_of(settings: Settings) -> Keys:
    return Keys(settings.redis.key_prefix)


def mongo_reads(mongo_url: str, database: str) -> Counter[str]:
    """How many reads of each collection MongoDB has done so far, by its own count."""
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as mongo:
        totals = mongo.admin.command("top")["totals"]
    return Counter(
        {
            collection: total["queries"]["count"] + total["getmore"]["count"]
            for place, total in totals.items()
            for of, _, collection in [place.partition(".")]
            if of == database
        }
    )
