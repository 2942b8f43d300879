"""How far each consumer group is behind, measured from outside: it also grows while no worker runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from domain.errors import Unavailable
from infra.kafka.clients import Log, Observer, translated
from infra.kafka.topics import TOPICS
from infra.tasks import run_until
from infra.telemetry.logs import logger
from infra.telemetry.names import LAG


class _Clients(NamedTuple):
    admin: AIOKafkaAdminClient
    observer: Observer


class LagWatch:
    """Looks every `every_s` and sets `ringpost_lag`. One look is three small requests for each group.

    While Kafka is away the gauge keeps its last value.
    """

    name = "lag"

    def __init__(self, log: Log, partitions: int, every_s: float) -> None:
        self._log = log
        self._partitions = partitions
        self._every_s = every_s
        self._connection: AsyncExitStack | None = None
        self._clients: _Clients | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        try:
            await run_until(self._stopping, self._watch())
        finally:
            await self.close()

    def stop(self) -> None:
        self._stopping.set()

    async def _watch(self) -> None:
        while True:
            await self.step()
            await asyncio.sleep(self._every_s)

    async def step(self) -> None:
        """One look. After a failure the next look uses new connections."""
        try:
            for group, behind in (await self.look()).items():
                LAG.labels(group).set(behind)
        except Unavailable as error:
            logger().warning("lag not measured", error=error.message)
            await self.close()

    async def look(self) -> dict[str, int]:
        """Group → records that it has not committed, over all partitions. Raises Unavailable."""
        clients = self._clients or await self._open()
        lags = {}
        for topic in TOPICS:
            for group in topic.groups:
                lags[group] = await self._behind(clients, group, topic.name)
        return lags

    async def _behind(self, clients: _Clients, group: str, topic: str) -> int:
        places = [TopicPartition(self._log.topic(topic), number) for number in range(self._partitions)]
        committed = await self._log.committed(clients.admin, group, topic)
        with translated():
            first = await clients.observer.consumer.beginning_offsets(places)
            end = await clients.observer.consumer.end_offsets(places)
        # A topic that was made anew may end before what was committed of the old one.
        return sum(max(0, end[at] - max(committed.get(at.partition, 0), first[at])) for at in places)

    async def _open(self) -> _Clients:
        self._connection = AsyncExitStack()
        admin = await self._connection.enter_async_context(self._log.admin())
        observer = await self._connection.enter_async_context(self._log.observer())
        self._clients = _Clients(admin, observer)
        return self._clients

    async def close(self) -> None:
        connection, self._connection, self._clients = self._connection, None, None
        if connection is not None:
            await connection.aclose()
