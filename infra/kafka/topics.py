"""The catalogue of topics and consumer groups, and the tools for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from domain.errors import Internal, Unavailable
from infra.kafka.clients import Log, translated
from infra.retry import backoff_s
from infra.settings import KafkaSettings

DELIVERIES = "deliveries"
ARRIVALS = "arrivals"
MESSAGES = "messages"
DLQ = ".dlq"


@dataclass(frozen=True)
class Topic:
    """One topic of the catalogue. `groups` are the consumer groups that read it."""

    name: str
    key: str
    record: str
    groups: tuple[str, ...] = ()


TOPICS = (
    Topic(
        DELIVERIES,
        "inbox partition",
        "the messages of a commit, each with its recipients in this partition",
        ("inbox",),
    ),
    Topic(
        ARRIVALS,
        "inbox partition",
        "messages that inbox has just numbered, each with its inbox numbers in this partition",
        ("push",),
    ),
    Topic(MESSAGES, "conversation", "one stored message, for observers"),
    Topic(DELIVERIES + DLQ, "as the origin", "a record of `deliveries` that could not be processed"),
    Topic(ARRIVALS + DLQ, "as the origin", "a record of `arrivals` that could not be processed"),
)

LETTER_HEADERS: Mapping[str, str] = {
    "topic": "The topic of the origin.",
    "partition": "Its partition there.",
    "offset": "Its offset there.",
    "timestamp": "Its time there, in milliseconds.",
    "group": "The group that could not process it.",
    "error": "The kind of error.",
    "message": "What the error said, up to 1,000 bytes.",
}
"""What the headers of a dead letter say, by name. Each is a text."""


class Lag(NamedTuple):
    """How far a group is behind in one topic: records that it has not committed, over all partitions."""

    group: str
    behind: int


class TopicState(NamedTuple):
    """What the brokers say of one topic of the catalogue."""

    topic: Topic
    name: str
    partitions: int
    replication: int
    records: int
    lags: list[Lag]


class TopicTool:
    """Create, list and describe the topics of the catalogue. Raises Unavailable."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._settings: KafkaSettings = log.settings

    async def create(self) -> list[str]:
        """Create missing topics and return their names. May run any number of times, also at once.

        The broker that answered lists them when this returns. Others of the cluster may need some moments
        more.
        """
        async with self._log.admin() as admin:
            with translated():
                present = set(await admin.list_topics())
                missing = [name for name in map(self._log.topic, _names()) if name not in present]
                if missing:
                    await self._create(admin, missing)
                    await self._listed(admin, missing)
            return missing

    async def _create(self, admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
        retention_ms = str(self._settings.retention_h * 3_600_000)
        configs = {
            "retention.ms": retention_ms,
            "min.insync.replicas": str(max(1, self._settings.replication - 1)),
            # The clocks of the producers do not matter: a broker refuses what seems to come from the future.
            "message.timestamp.type": "LogAppendTime",
        }
        reply = await admin.create_topics(
            [
                NewTopic(name, self._settings.partitions, self._settings.replication, topic_configs=configs)
                for name in names
            ]
        )
        for name, code, *reason in reply.topic_errors:
            if code in (29, 31):
                raise Unavailable(
                    f"The topic {name} is missing, and Kafka does not allow the user to create it: "
                    "run `ringpost topics create` with one who may."
                )
            if code not in (0, 36):  # 36: another process was faster
                raise Internal(
                    f"Kafka refused to create the topic {name}: {for_code(code).__name__} {reason}."
                )

    async def _listed(self, admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
        """Wait: the controller answers before its brokers know what it has created."""
        for wait_s in islice(backoff_s(0.1, 1.0), 12):
            if set(names) <= set(await admin.list_topics()):
                return
            await asyncio.sleep(wait_s)
        raise Unavailable("Kafka has created topics and does not list them yet.")

    async def missing(self) -> list[str]:
        """Topics of the catalogue that the brokers do not have."""
        async with self._log.admin() as admin:
            with translated():
                present = set(await admin.list_topics())
        return [name for name in map(self._log.topic, _names()) if name not in present]

    async def describe(self) -> list[TopicState]:
        """Every topic that exists, with its size and how far each group is behind."""
        async with self._log.admin() as admin, self._log.observer() as observer:
            with translated():
                names = [self._log.topic(topic.name) for topic in TOPICS]
                described = {row["topic"]: row for row in await admin.describe_topics(names)}
                states = []
                for topic in TOPICS:
                    row = described[self._log.topic(topic.name)]
                    if row["error_code"]:
                        continue
                    first, end = await observer.bounds(topic.name)
                    lags = []
                    for group in topic.groups:
                        committed = await self._log.committed(admin, group, topic.name)
                        behind = sum(end[p] - max(committed.get(p, 0), first[p]) for p in end)
                        lags.append(Lag(self._log.group(group), behind))
                    replication = len(row["partitions"][0]["replicas"]) if row["partitions"] else 0
                    records = sum(end[p] - first[p] for p in end)
                    states.append(TopicState(topic, row["topic"], len(end), replication, records, lags))
                return states


def _names() -> list[str]:
    return [topic.name for topic in TOPICS]


async def ready_topics(log: Log) -> int:
    """Create missing topics. Returns the number of inbox partitions, the same for every process.

    Raises Unavailable when `deliveries` and `arrivals` have different numbers of partitions.
    """
    await TopicTool(log).create()
    inbox, arrivals = await _settled(log, DELIVERIES), await _settled(log, ARRIVALS)
    if inbox != arrivals:
        raise Unavailable(
            f"The topics deliveries ({inbox} partitions) and arrivals ({arrivals}) must have equally many."
        )
    return inbox


async def _settled(log: Log, topic: str) -> int:
    """The partitions of a topic. It may be new, and then not every broker knows it at once."""
    for wait_s in islice(backoff_s(0.1, 1.0), 12):
        try:
            return await log.partitions(topic)
        except Unavailable:
            await asyncio.sleep(wait_s)
    return await log.partitions(topic)
