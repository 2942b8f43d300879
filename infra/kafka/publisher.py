"""Publishes records to Kafka, in the order of the calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import RecordMetadata

from domain.errors import Unavailable
from infra.kafka.clients import Log, stopped, translated
from infra.telemetry.logs import logger
from infra.telemetry.names import SPREAD

_spread = cache(SPREAD.labels)
"""By topic."""


class Record(NamedTuple):
    """`topic` is a name of the catalogue. Without a partition the key decides."""

    topic: str
    partition: int | None
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Confirmed(NamedTuple):
    """Where Kafka put a record. A dead letter has the same partition as its origin."""

    topic: str
    partition: int
    offset: int


class Receipt:
    """Records on their way. Kafka takes the records of one partition in the order of their `enqueue`."""

    def __init__(
        self,
        publisher: Publisher,
        producer: AIOKafkaProducer,
        records: Sequence[Record],
        futures: Sequence[asyncio.Future[RecordMetadata]],
    ) -> None:
        self._publisher = publisher
        self._producer = producer
        self._records = records
        self._futures = futures
        self._deadline = asyncio.get_running_loop().time() + publisher.confirm_s

    async def confirmed(self) -> list[Confirmed]:
        """All records are on all in-sync replicas.

        Raises Unavailable if Kafka did not confirm one of them, at the latest `confirm_s` after the
        `enqueue`. The unconfirmed records are then not tried again.
        """
        try:
            with translated():
                async with asyncio.timeout_at(self._deadline):
                    placed = await asyncio.gather(*self._futures)
            if any(where.offset < 0 for where in placed):  # in Kafka, but it no longer knows where
                raise Unavailable("Kafka did not say where it put a record.")
        except Unavailable:
            self._publisher.abandon(self._producer)
            raise
        for record in self._records:
            _spread(record.topic).inc()
        return [
            Confirmed(record.topic, where.partition, where.offset)
            for record, where in zip(self._records, placed, strict=True)
        ]


class Publisher:
    """The producer of one process. It is replaced when Kafka refused a record, or did not answer for one.

    An idempotent producer numbers its records. If one is not delivered, Kafka refuses all later numbers. So
    everything that the old producer had not delivered fails with it.
    """

    def __init__(self, log: Log) -> None:
        self.confirm_s = log.settings.confirm_s
        self._log = log
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def enqueue(self, records: Sequence[Record]) -> Receipt:
        """Hand records over. Waits while the producer's buffer is full. Raises Unavailable."""
        producer = self._producer or await self.open()
        futures: list[asyncio.Future[RecordMetadata]] = []
        try:
            with translated():
                async with asyncio.timeout(self.confirm_s):
                    for record in records:
                        futures.append(await self._send(producer, record))  # noqa: PERF401 - kept if one fails
        except (Unavailable, AssertionError) as error:  # the latter: a partition is not there (any more)
            for future in futures:
                future.cancel()
            self.abandon(producer)
            raise Unavailable("Kafka did not take a record.") from error
        return Receipt(self, producer, records, futures)

    async def _send(self, producer: AIOKafkaProducer, record: Record) -> asyncio.Future[RecordMetadata]:
        future: asyncio.Future[RecordMetadata] = await producer.send(
            self._log.topic(record.topic),
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        return future

    async def open(self) -> AIOKafkaProducer:
        """The producer in use, or a new one if there is none. Raises Unavailable when no broker answers."""
        async with self._opening:
            if self._producer is None:
                self._producer = await self._log.start_producer()
            return self._producer

    def abandon(self, producer: AIOKafkaProducer) -> None:
        """Fail what the producer has not delivered, and stop using it."""
        if producer is not self._producer:
            return
        logger().warning("gave up records that Kafka did not confirm")
        self._dismiss(producer)

    def _dismiss(self, producer: AIOKafkaProducer) -> None:
        self._producer = None
        # Not among its public verbs: `stop` alone would wait until all is delivered.
        producer._message_accumulator.fail_all(KafkaConnectionError("given up"))  # noqa: SLF001
        leaving = asyncio.create_task(_leave(producer))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Records that are not confirmed by now fail."""
        if self._producer is not None:
            self._dismiss(self._producer)
        if self._leaving:
            await asyncio.wait(self._leaving)


async def _leave(producer: AIOKafkaProducer) -> None:
    """End a producer after all of its records were failed."""
    try:
        await stopped(producer)
    except KeyError:  # aiokafka meant to try one of them again
        await producer.client.close()


@asynccontextmanager
async def open_publisher(log: Log, *, now: bool = True) -> AsyncIterator[Publisher]:
    """A publisher for the length of the block. It connects `now`, or with its first record.

    Raises Unavailable when it is to connect now and no broker answers.
    """
    publisher = Publisher(log)
    try:
        if now:
            await publisher.open()
        yield publisher
    finally:
        await publisher.close()
