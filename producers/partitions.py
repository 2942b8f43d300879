"""The number of inbox partitions, learned late by a process that started while Kafka was away."""

from __future__ import annotations

import asyncio

from domain.errors import RingpostError
from infra.kafka.clients import Log
from infra.kafka.topics import ready_topics
from infra.retry import backoff_s
from infra.tasks import run_until
from infra.telemetry.logs import logger
from producers.spread import Spreader


class Partitions:
    """Creates the topics that are missing as soon as Kafka answers, and tells the spreader its partitions.

    Does nothing if the spreader knows them. What is stored until then goes by way of the relay.
    """

    name = "partitions"

    def __init__(self, log: Log, spreader: Spreader) -> None:
        self._log = log
        self._spreader = spreader
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        await run_until(self._stopping, self._learn())

    def stop(self) -> None:
        self._stopping.set()

    async def _learn(self) -> None:
        waits = backoff_s(0.5, 5.0)
        while not self._spreader.partitions:
            try:
                self._spreader.partitions = await ready_topics(self._log)
            except RingpostError as error:
                logger().warning("waiting for Kafka", error=error.message)
                await asyncio.sleep(next(waits))
