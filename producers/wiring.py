"""The send path put together, from open clients to services that run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from domain.errors import Unavailable
from infra.kafka.clients import Log, Progress
from infra.kafka.publisher import Publisher, open_publisher
from infra.kafka.topics import DELIVERIES, TopicTool, ready_topics
from infra.mongo.accounts import AccountStore
from infra.mongo.client import Database, open_database
from infra.mongo.contents import Contents
from infra.mongo.conversations import ConversationStore
from infra.mongo.indexes import ensure_schema
from infra.mongo.messages import MessageStore
from infra.mongo.outbox import RELAY, OutboxStore
from infra.mongo.unread import UnreadCounts
from infra.redis.client import Client, open_redis, ping
from infra.redis.keys import Keys
from infra.redis.sequence import Sequence
from infra.settings import Settings
from infra.telemetry.duties import DUTIES
from infra.telemetry.logs import logger
from infra.telemetry.status import Check
from producers.backlog import Backlog
from producers.barrier import Barrier
from producers.changes import Changes
from producers.commit import Commit
from producers.conflated import Conflated
from producers.groups import Groups
from producers.lease import Lease
from producers.membership import Membership
from producers.numbering import Numbering
from producers.partitions import Partitions
from producers.quoting import Quoting
from producers.reading import Reading
from producers.relay import Relay
from producers.send import Sender
from producers.spread import Spreader


class Clients(NamedTuple):
    """Open clients of the three engines. `partitions` is 0 while Kafka has not told how many there are."""

    settings: Settings
    database: Database
    redis: Client
    log: Log
    publisher: Publisher
    inbox: Progress
    partitions: int


@asynccontextmanager
async def open_clients(settings: Settings, may_lack: Collection[str] = ()) -> AsyncIterator[Clients]:
    """Clients for the length of the block. It creates missing collections, indexes and topics.

    Raises Unavailable when an engine does not answer, unless it `may_lack` that engine (`mongo`, `kafka`).
    Redis need not answer.
    """
    async with open_database(settings.mongo) as database, open_redis(settings.redis) as redis:
        with _allowed("mongo" in may_lack):
            await ensure_schema(database)
        log, partitions = Log(settings.kafka), 0
        with _allowed("kafka" in may_lack):
            partitions = await ready_topics(log)
        async with (
            open_publisher(log, now=partitions > 0) as publisher,
            log.progress("inbox", DELIVERIES) as inbox,
        ):
            yield Clients(settings, database, redis, log, publisher, inbox, partitions)


@contextmanager
def _allowed(it_is: bool) -> Iterator[None]:
    """An engine that is away is logged, where that is allowed."""
    try:
        yield
    except Unavailable as error:
        if not it_is:
            raise
        logger().warning("starting without an engine", error=error.message)


@dataclass(frozen=True)
class SendPath:
    """`conflated`, `partitions`, `spreader` and `barrier` are services. Stop them in this order."""

    sender: Sender
    reading: Reading
    contents: Contents
    unread: UnreadCounts
    conflated: Conflated
    groups: Groups
    membership: Membership
    backlog: Backlog
    lease: Lease
    barrier: Barrier
    spreader: Spreader
    partitions: Partitions


def _membership(clients: Clients) -> tuple[Membership, Numbering]:
    conversations = ConversationStore(clients.database)
    sequence = Sequence(clients.redis, Keys(clients.settings.redis.key_prefix))
    numbering = Numbering(sequence, MessageStore(clients.database), conversations)
    return Membership(conversations, numbering), numbering


async def _lease(clients: Clients, backlog: Backlog, prefix: str = "") -> tuple[Lease, Barrier]:
    settings, outbox = clients.settings.outbox, OutboxStore(clients.database)
    lease = Lease(outbox, settings, prefix)
    barrier = Barrier(outbox, clients.inbox, lease, backlog, settings.scan_s)
    await lease.begin()
    with suppress(Unavailable):  # Kafka may come later
        await barrier.committed()
    return lease, barrier


async def send_path(clients: Clients) -> SendPath:
    """Raises Unavailable."""
    database, settings = clients.database, clients.settings.send
    membership, numbering = _membership(clients)
    messages, conversations = MessageStore(database), ConversationStore(database)
    contents, unread = Contents(messages), UnreadCounts(database)
    reading = Reading(messages, conversations, membership)
    backlog = Backlog()
    lease, barrier = await _lease(clients, backlog)
    spreader = Spreader(clients.publisher, barrier, lease, backlog, clients.partitions)
    groups = Groups(conversations, AccountStore(database), membership, settings.group_members)
    changes = Changes(messages, conversations, contents, unread)
    commit = Commit(messages, changes, numbering, membership, lease, barrier, spreader)
    sender = Sender(commit, membership, groups, (Quoting(reading), messages), backlog, settings)
    partitions = Partitions(clients.log, spreader)
    conflated = Conflated(sender, messages, membership)
    return SendPath(
        sender,
        reading,
        contents,
        unread,
        conflated,
        groups,
        membership,
        backlog,
        lease,
        barrier,
        spreader,
        partitions,
    )


async def relay(clients: Clients) -> tuple[Relay, Barrier]:
    """The relay and the barrier that watches over what it spread. Raises Unavailable."""
    membership, _ = _membership(clients)
    lease, barrier = await _lease(clients, Backlog(), RELAY)
    messages = MessageStore(clients.database)
    changes = Changes(
        messages, ConversationStore(clients.database), Contents(messages), UnreadCounts(clients.database)
    )
    stores = OutboxStore(clients.database), changes, membership
    log = clients.publisher, TopicTool(clients.log), clients.partitions
    return Relay(stores, lease, barrier, log, clients.settings.outbox), barrier


def engine_checks(clients: Clients, parts: Collection[str]) -> dict[str, Check]:
    """Whether each engine that these parts use answers."""
    checks: dict[str, Check] = {
        "mongo": clients.database.ping,
        "redis": lambda: ping(clients.redis),
        "kafka": clients.log.version,
    }
    used = {engine for part in parts for engine in DUTIES[part].engines}
    return {engine: check for engine, check in checks.items() if engine in used}
