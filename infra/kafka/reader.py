"""A member of a consumer group, behind the few verbs that the loop uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from itertools import chain
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from infra.kafka.clients import Log, Offsets, pace_note, translated
from infra.telemetry.logs import logger

COMMIT_S = 5.0


LogRecord: TypeAlias = ConsumerRecord
"""One record as it lies in the log: `partition`, `offset`, `timestamp` in milliseconds, `key`, `value`."""


class Reader:
    """Reads one topic. Every verb raises Unavailable."""

    def __init__(self, log: Log, group: str, topic: str, session_s: float, instance: str = "") -> None:
        self._topic = log.topic(topic)
        self._consumer: AIOKafkaConsumer = log.consumer(group, session_s, instance)
        self._joined = False

    async def open(
        self,
        on_revoked: Callable[[], Awaitable[None]],
        on_assigned: Callable[[list[int]], None] = lambda partitions: None,
    ) -> None:
        """Join the group. `on_revoked` runs before our partitions go to another member, `on_assigned` when
        the group has assigned all of ours anew.
        """

        def assigned(partitions: list[int]) -> None:
            self._joined = True
            logger().info("partitions assigned", partitions=partitions)
            on_assigned(partitions)

        self._consumer.subscribe([self._topic], listener=_Listener(on_revoked, assigned))
        with translated():
            await self._consumer.start()

    @property
    def joined(self) -> bool:
        """Whether the group has assigned our partitions. There may be none for us."""
        return self._joined

    async def take(self, most: int, timeout_ms: int) -> list[LogRecord]:
        """Up to `most` records, in order per partition. Empty if none come in time."""
        with translated():
            taken = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=most)
        return list(chain.from_iterable(taken.values()))

    async def commit(self, offsets: Offsets, pace: float = 0.0) -> None:
        """The records before these offsets are done. Partitions that are not ours, or no longer, are left
        out.

        Each partition gets its part of our `pace`, for `Progress` to see. It takes at most `COMMIT_S`.
        aiokafka alone would try for as long as no broker answers.
        """
        ours = {place.partition for place in self._consumer.assignment()}
        note = pace_note(pace / max(1, len(ours)))
        mine = {TopicPartition(self._topic, p): (offset, note) for p, offset in offsets.items() if p in ours}
        if mine:
            with translated():
                async with asyncio.timeout(COMMIT_S):
                    await self._consumer.commit(mine)

    def rewind(self, offsets: Offsets) -> None:
        """Read these partitions again from these offsets. Those that are not ours, or no longer, are left
        out.
        """
        for place in self._consumer.assignment():
            if place.partition in offsets:
                self._consumer.seek(place, offsets[place.partition])

    async def behind(self) -> int:
        """How many records of our partitions wait to be taken, as the brokers said last."""
        waiting = 0
        for place in self._consumer.assignment():
            end = self._consumer.highwater(place)
            if end is not None:
                with translated():
                    waiting += max(0, end - await self._consumer.position(place))
        return waiting

    async def lags(self) -> bool:
        """Whether the brokers have records of our partitions that were not taken."""
        places = list(self._consumer.assignment())
        if not places:
            return False
        with translated():
            ends = await self._consumer.end_offsets(places)
            return any([end > await self._consumer.position(place) for place, end in ends.items()])

    async def close(self) -> None:
        """Leave the group."""
        with translated():
            await self._consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self,
        on_revoked: Callable[[], Awaitable[None]],
        on_assigned: Callable[[list[int]], None] = lambda partitions: None,
    ) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            await self._on_revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._on_assigned(sorted(place.partition for place in assigned))
