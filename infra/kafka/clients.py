"""Kafka clients with the settings that the promises need. Only this file turns Kafka errors into ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    UnsupportedSaslMechanismError,
)
from aiokafka.partitioner import murmur2
from aiokafka.structs import OffsetAndMetadata

from domain.errors import Unavailable
from infra.addresses import hosts_of
from infra.kafka.metadata import Fingerprint, TopicMetadata, fingerprint_of
from infra.settings import KafkaSettings
from infra.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

Offsets = dict[int, int]
"""Partition → offset."""

REQUEST_TIMEOUT_MS = 10_000
SIGN_IN_TIMEOUT_MS = 3_000
METADATA_MAX_AGE_MS = 10_000
"""Milliseconds after which clients ask for metadata again. They then find a topic that was made again."""

MAX_RECORD_BYTES = 1_048_576
_REFUSED = (
    "Kafka refuses the user, the password or the way to sign in: see RINGPOST_KAFKA_USERNAME, "
    "RINGPOST_KAFKA_PASSWORD and RINGPOST_KAFKA_SASL_MECHANISM."
)
_NO_MEMBER = (CommitFailedError, IllegalGenerationError, UnknownMemberIdError)
_NOT_ALLOWED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)


@contextmanager
def translated() -> Iterator[None]:
    """Kafka errors become Unavailable."""
    try:
        yield
    except _NOT_ALLOWED as error:
        raise Unavailable(
            f"Kafka does not allow this to the user ({type(error).__name__}). "
            "`ringpost doctor` says which right is missing."
        ) from error
    except _NO_MEMBER as error:
        raise Unavailable(
            "The group gave the partitions of this worker to another one. It was silent for too long, or "
            "another one runs with its name (RINGPOST_WORKER_INSTANCE)."
        ) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable(f"Kafka does not answer: {type(error).__name__}.") from error


class Observer:
    """Reads offsets without being in a group."""

    def __init__(self, consumer: AIOKafkaConsumer, log: Log) -> None:
        self.consumer = consumer
        self._log = log

    async def bounds(self, topic: str) -> tuple[Offsets, Offsets]:
        """First and end offset of each partition of a topic of the catalogue."""
        count = await self._log.partitions(topic)
        places = [TopicPartition(self._log.topic(topic), p) for p in range(count)]
        with translated():
            first = await self.consumer.beginning_offsets(places)
            end = await self.consumer.end_offsets(places)
        return {tp.partition: o for tp, o in first.items()}, {tp.partition: o for tp, o in end.items()}


class Look(NamedTuple):
    """`committed`: partition → offset of the next record; absent: nothing yet. `pace` is what all members of
    the group said together, 0.0 if none did.

    `fingerprint` was read after the offsets. If an earlier look had the same, Kafka lost nothing that it
    confirmed before that look, and both offsets belong to the same log.
    """

    committed: Offsets
    pace: float
    fingerprint: Fingerprint


def pace_note(pace: float) -> str:
    """What is committed beside an offset."""
    return f"pace={pace:.0f}" if pace else ""


def _pace_of(note: str) -> float:
    """0.0 for a note that is none of ours."""
    name, _, number = note.partition("=")
    return float(number) if name == "pace" and number.isdecimal() else 0.0


class Progress:
    """What one group has finished in one topic. It keeps its connection."""

    def __init__(self, log: Log, group: str, topic: str) -> None:
        self._log = log
        self._group = group
        self._topic = topic
        self._connection: AsyncExitStack | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def look(self) -> Look:
        """Raises Unavailable."""
        try:
            if self._connection is None or self._admin is None:
                self._connection = AsyncExitStack()
                self._admin = await self._connection.enter_async_context(self._log.admin())
            noted = await self._log.noted(self._admin, self._group, self._topic)
            committed = {partition: one.offset for partition, one in noted.items()}
            parts = [part for one in noted.values() if (part := _pace_of(one.metadata))]
            pace = len(noted) * sum(parts) / len(parts) if parts else 0.0
            return Look(committed, pace, await self._log.fingerprint(self._admin, self._topic))
        except Unavailable:
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection, self._admin = self._connection, None, None
        if connection is not None:
            await connection.aclose()


@lru_cache(maxsize=16_384)
def _hash(key: bytes) -> int:
    """In Python it takes 10 µs, and a conversation has more than one message."""
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes, every: Sequence[int], _available: Sequence[int]) -> int:
    """The same as Kafka's own clients choose for a key."""
    return every[_hash(key) % len(every)]


class Log:
    """Names with their prefix, and clients. Every opener raises Unavailable when no broker answers."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._connection: dict[str, Any] = {
            "bootstrap_servers": settings.bootstrap,
            "security_protocol": settings.security.upper(),
        }
        if settings.tls is not None:
            self._connection["ssl_context"] = tls_context(settings.tls)
        if settings.sasl_mechanism:
            self._connection |= {
                "sasl_mechanism": settings.sasl_mechanism,
                "sasl_plain_username": settings.username,
                "sasl_plain_password": settings.password.get_secret_value(),
            }

    def topic(self, name: str) -> str:
        return self.settings.topic_prefix + name

    def group(self, name: str) -> str:
        return self.settings.topic_prefix + name

    async def start_producer(self) -> AIOKafkaProducer:
        """Idempotent, acknowledged by all in-sync replicas: no record twice, none out of order.

        End it with `stopped`. Raises Unavailable when no broker answers.
        """
        producer = AIOKafkaProducer(
            **self._connection,
            client_id="ringpost",
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=262_144,
            partitioner=partition_of,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        try:
            with translated():
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await producer.start()
        except BaseException:
            await stopped(producer)
            raise
        return producer

    def consumer(self, group: str, session_s: float, instance: str = "") -> AIOKafkaConsumer:
        """A member of a group, a static one if it has an instance name (KIP-345).

        It commits only when told to, begins at the oldest record, and is not started yet.
        """
        return AIOKafkaConsumer(
            **self._connection,
            client_id=f"ringpost-{group}",
            group_id=self.group(group),
            group_instance_id=instance or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=500,
            max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
            session_timeout_ms=round(session_s * 1000),
            heartbeat_interval_ms=round(session_s * 1000 / 5),
            request_timeout_ms=4 * REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(
            **self._connection,
            client_id="ringpost-admin",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            try:
                with translated():
                    await admin.start()
            except Unavailable as error:
                if await self._sign_in_refused():
                    raise Unavailable(_REFUSED) from error
                raise
            yield admin
        finally:
            await asyncio.shield(admin.close())

    async def _sign_in_refused(self) -> bool:
        """aiokafka does not tell its caller that brokers are there and refuse the user."""
        if not self.settings.sasl_mechanism:
            return False
        options = {name: value for name, value in self._connection.items() if name != "bootstrap_servers"}
        for host in hosts_of(self.settings.bootstrap):
            try:
                connection = await create_conn(
                    host.host, host.port, request_timeout_ms=SIGN_IN_TIMEOUT_MS, **options
                )
            except (SaslAuthenticationFailed, UnsupportedSaslMechanismError):
                return True
            except (KafkaError, OSError, TimeoutError):
                continue
            connection.close()
            return False
        return False

    @asynccontextmanager
    async def observer(self) -> AsyncIterator[Observer]:
        consumer = AIOKafkaConsumer(
            **self._connection, client_id="ringpost-observer", request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            with translated():
                await consumer.start()
            yield Observer(consumer, self)
        finally:
            await stopped(consumer)

    async def partitions(self, topic: str) -> int:
        """How many partitions the brokers say the topic has."""
        async with self.admin() as admin:
            with translated():
                rows = await admin.describe_topics([self.topic(topic)])
        if rows[0]["error_code"] or not rows[0]["partitions"]:
            raise Unavailable(f"The topic {self.topic(topic)} does not exist (yet).")
        return len(rows[0]["partitions"])

    async def committed(self, admin: AIOKafkaAdminClient, group: str, topic: str) -> Offsets:
        """What a group has finished: partition → offset of the next record. Absent means nothing yet."""
        noted = await self.noted(admin, group, topic)
        return {partition: one.offset for partition, one in noted.items()}

    async def noted(self, admin: AIOKafkaAdminClient, group: str, topic: str) -> dict[int, OffsetAndMetadata]:
        """The same, with what was written beside each offset."""
        with translated():
            found = await admin.list_consumer_group_offsets(self.group(group))
        name = self.topic(topic)
        return {at.partition: one for at, one in found.items() if at.topic == name and one.offset >= 0}

    async def fingerprint(self, admin: AIOKafkaAdminClient, topic: str) -> Fingerprint:
        """Raises Unavailable, also while the topic is missing or a partition has no leader."""
        request = TopicMetadata(self.topic(topic))
        with translated():  # the public verbs know older requests only
            response = await admin._send_request(request)  # noqa: SLF001
        found = fingerprint_of(response)
        if found is None:
            raise Unavailable(f"Some partitions of the topic {self.topic(topic)} have no leader.")
        return found

    @asynccontextmanager
    async def progress(self, group: str, topic: str) -> AsyncIterator[Progress]:
        """Watch what a group has finished in a topic. It connects at the first question."""
        progress = Progress(self, group, topic)
        try:
            yield progress
        finally:
            await progress.close()

    async def version(self) -> str:
        """How many brokers answer. Unavailable when none does."""
        async with self.admin() as admin:
            with translated():
                cluster = await admin.describe_cluster()
        return f"{len(cluster['brokers'])} broker(s)"


async def stopped(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Close, also while the caller is being cancelled. A broker that is gone does not delay it."""
    try:
        await asyncio.wait_for(asyncio.shield(client.stop()), 5)
    except (KafkaError, OSError, TimeoutError):
        return
