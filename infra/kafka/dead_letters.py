"""Tools for the records on the dead letter topics: look at them, put them back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete

from infra.kafka.clients import Log, Observer, translated
from infra.kafka.publisher import Record, open_publisher
from infra.kafka.topics import DLQ, TOPICS

BATCH = 500


class Letter(NamedTuple):
    """A record that could not be processed, and why. `topic` and `origin_offset` say where it came from."""

    topic: str
    partition: int
    offset: int
    origin_offset: int
    group: str
    timestamp_ms: int
    error: str
    message: str
    key: bytes
    value: bytes


class DeadLetterTool:
    """Reads the dead letter topics without a group. Raises Unavailable."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def letters(self) -> AsyncIterator[Letter]:
        """All letters that are there now, in order per topic and partition."""
        async with self._log.observer() as observer:
            for topic in origins():
                async for letters in self._read(observer, topic):
                    for letter in letters:
                        yield letter

    async def replay(self, topic: str) -> int:
        """Put the letters of a topic back where they came from; returns how many.

        Each goes to its partition with its key, in order. It is removed here once Kafka has it there. If the
        replay stops in between, the next replay repeats it; consumers do nothing twice. A record that still
        cannot be processed comes back as a new letter.
        """
        replayed = 0
        async with self._log.observer() as observer, open_publisher(self._log) as publisher:
            async for letters in self._read(observer, topic):
                records = [Record(topic, one.partition, one.key, one.value) for one in letters]
                await (await publisher.enqueue(records)).confirmed()
                await self._remove(topic, {one.partition: one.offset + 1 for one in letters})
                replayed += len(letters)
        return replayed

    async def _read(self, observer: Observer, topic: str) -> AsyncIterator[Sequence[Letter]]:
        """The letters that are there at the call, by partition in batches. Letters that come later are left
        out.
        """
        first, end = await observer.bounds(topic + DLQ)
        consumer = observer.consumer
        for partition in sorted(p for p in end if first[p] < end[p]):
            # One that is empty is left out: a consumer stopped right after `assign` may never end.
            place = TopicPartition(self._log.topic(topic + DLQ), partition)
            consumer.assign([place])
            consumer.seek(place, first[partition])
            position = first[partition]
            while position < end[partition]:
                with translated():
                    taken = await consumer.getmany(place, timeout_ms=1000, max_records=BATCH)
                    position = await consumer.position(place)
                letters = [_letter(topic, record) for record in taken.get(place, ())]
                yield [letter for letter in letters if letter.offset < end[partition]]

    async def _remove(self, topic: str, before: Mapping[int, int]) -> None:
        name = self._log.topic(topic + DLQ)
        places = {TopicPartition(name, p): RecordsToDelete(before_offset=o) for p, o in before.items()}
        if places:
            async with self._log.admin() as admin:
                with translated():
                    await admin.delete_records(places)


def origins() -> list[str]:
    """The topics whose records may become dead letters."""
    return [topic.name.removesuffix(DLQ) for topic in TOPICS if topic.name.endswith(DLQ)]


def _letter(topic: str, record: ConsumerRecord) -> Letter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return Letter(
        topic,
        record.partition,
        record.offset,
        int(headers.get("offset", -1)),
        headers.get("group", ""),
        int(headers.get("timestamp", -1)),
        headers.get("error", ""),
        headers.get("message", ""),
        record.key or b"",
        record.value or b"",
    )
