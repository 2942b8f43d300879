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
from infra.mongo.conversations import ConversationStore
from infra.mongo.indexes import ensure_schema
from infra.mongo.messages import MessageStore
from infra.mongo.outbox import RELAY, OutboxStore
from infra.mongo.timelines import TimelineStore
from infra.redis.client import Client, open_redis
from infra.redis.keys import Keys
from infra.redis.sequence import Sequence
from infra.settings import Settings
from infra.telemetry.logs import logger
from producers.backlog import Backlog
from producers.barrier import Barrier
from producers.commit import Commit
from producers.groups import Groups
from producers.lease import Lease
from producers.membership import Membership
from producers.numbering import Numbering
from producers.partitions import Partitions
from producers.relay import Relay
from producers.send import Sender
from producers.spread import Spreader


class Clients(NamedTuple):
    """Open clients."""

    database: Database
    redis: Client
    log: Log
    publisher: Publisher
    inbox: Progress


class Engines:
    """Open clients of the three engines, and the stores on them."""

    def __init__(self, settings: Settings, clients: Clients, partitions: int) -> None:
        self.settings = settings
        self.database, self.redis, self.log, self.publisher, self.inbox = clients
        self.partitions = partitions
        self.keys = Keys(settings.redis.key_prefix)
        self.messages = MessageStore(self.database)
        self.timelines = TimelineStore(self.database)
        self.conversations = ConversationStore(self.database)
        self.accounts = AccountStore(self.database)
        self.outbox = OutboxStore(self.database)
        self.sequence = Sequence(self.redis, self.keys)


@asynccontextmanager
async def open_engines(settings: Settings, may_lack: Collection[str] = ()) -> AsyncIterator[Engines]:
    """Clients for the length of the block. It creates missing collections, indexes and topics.

    Raises Unavailable when an engine does not answer, unless it `may_lack` that engine (`mongo`, `kafka`).
    Without Kafka, `partitions` is 0. Redis need not answer.
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
            yield Engines(settings, Clients(database, redis, log, publisher, inbox), partitions)


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
    """`partitions`, `spreader` and `barrier` are services. Stop them in this order."""

    sender: Sender
    groups: Groups
    membership: Membership
    backlog: Backlog
    lease: Lease
    barrier: Barrier
    spreader: Spreader
    partitions: Partitions


def _membership(engines: Engines) -> tuple[Membership, Numbering]:
    numbering = Numbering(engines.sequence, engines.messages, engines.conversations)
    return Membership(engines.conversations, numbering), numbering


async def _lease(engines: Engines, backlog: Backlog, prefix: str = "") -> tuple[Lease, Barrier]:
    settings = engines.settings.outbox
    lease = Lease(engines.outbox, settings, prefix)
    barrier = Barrier(engines.outbox, engines.inbox, lease, backlog, settings.scan_s)
    await lease.begin()
    with suppress(Unavailable):  # Kafka may come later
        await barrier.committed()
    return lease, barrier


async def send_path(engines: Engines) -> SendPath:
    """Raises Unavailable."""
    settings = engines.settings
    membership, numbering = _membership(engines)
    backlog = Backlog()
    lease, barrier = await _lease(engines, backlog)
    spreader = Spreader(engines.publisher, barrier, lease, backlog, engines.partitions)
    groups = Groups(engines.conversations, engines.accounts, membership, settings.send.group_members)
    commit = Commit(engines.messages, numbering, membership, lease, barrier, spreader)
    sender = Sender(commit, membership, groups, backlog, settings.send)
    return SendPath(
        sender, groups, membership, backlog, lease, barrier, spreader, Partitions(engines.log, spreader)
    )


async def relay(engines: Engines) -> tuple[Relay, Barrier]:
    """The relay and the barrier that watches over what it spread. Raises Unavailable."""
    membership, _ = _membership(engines)
    lease, barrier = await _lease(engines, Backlog(), RELAY)
    stores = engines.outbox, engines.messages, membership
    log = engines.publisher, TopicTool(engines.log), engines.partitions
    return Relay(stores, lease, barrier, log, engines.settings.outbox), barrier
