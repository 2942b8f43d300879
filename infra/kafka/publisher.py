"""Records into Kafka, in the order in which they are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from infra.kafka.clients import Log, translated
from infra.telemetry.names import SPREAD


class Record(NamedTuple):
    """`topic` is a name of the catalogue; without a partition the key decides."""

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
    """Records on their way. Kafka takes those of one partition in the order of their `enqueue`."""

    def __init__(self, records: Sequence[Record], futures: Sequence[asyncio.Future[RecordMetadata]]) -> None:
        self._records = records
        self._futures = futures

    async def confirmed(self) -> list[Confirmed]:
        """All records are on all in-sync replicas. Raises Unavailable if that is not known of any."""
        with translated():
            placed = await asyncio.gather(*self._futures)
        for record in self._records:
            SPREAD.labels(record.topic).inc()
        return [
            Confirmed(record.topic, where.partition, where.offset)
            for record, where in zip(self._records, placed, strict=True)
        ]


class Publisher:
    """One producer of one process."""

    def __init__(self, producer: AIOKafkaProducer, log: Log) -> None:
        self._producer = producer
        self._topics = log.topic

    async def enqueue(self, records: Sequence[Record]) -> Receipt:
        """Hand records over; waits while the producer's buffer is full, then raises Unavailable."""
        with translated():
            futures = [
                await self._producer.send(
                    self._topics(record.topic),
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                for record in records
            ]
        return Receipt(records, futures)


@asynccontextmanager
async def open_publisher(log: Log) -> AsyncIterator[Publisher]:
    """A publisher for the length of the block. Raises Unavailable when no broker answers."""
    async with log.producer() as producer:
        yield Publisher(producer, log)
