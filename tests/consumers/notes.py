"""Handlers that only note what they were given, and what became of the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from consumers.loop import Taken
from domain.errors import BadRequest
from domain.events import Broken
from infra.kafka.topics import DELIVERIES, DLQ
from tests.builders import until


class Notes:
    """Handles numbers; a subclass of a test says what goes wrong."""

    group = "inbox"
    topic = DELIVERIES

    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []
        self.begun = 0

    def decode(self, value: bytes) -> Sequence[int | Broken]:
        """A record may hold several numbers, with a comma between them."""
        return [int(one) if one.isdigit() else _broken(one) for one in value.split(b",")]

    def encode(self, event: int) -> bytes:
        return b"%d" % event

    async def handle(self, batch: Sequence[Taken[int]]) -> Awaitable[object] | None:
        self.begun += len(batch)
        return await self.work(batch)

    async def work(self, batch: Sequence[Taken[int]]) -> Awaitable[object] | None:
        self.note(batch)
        return None

    def note(self, batch: Sequence[Taken[int]]) -> None:
        self.done += [(partition, number) for partition, number in batch]

    def of(self, partition: int) -> list[int]:
        return [number for place, number in self.done if place == partition]


def _broken(value: bytes) -> Broken:
    if value == b"unreadable":
        raise ValueError("nothing of it can be read")
    return Broken(value, ValueError("no number"))


class Picky(Notes):
    """To it 13 is poison."""

    async def work(self, batch):
        if any(number == 13 for _, number in batch):
            raise BadRequest("thirteen")
        self.note(batch)


async def letters(town) -> list:
    """All dead letters of the topic, by partition and offset."""
    consumer = town.log.consumer("letters", 10)
    consumer.subscribe([town.log.topic(DELIVERIES + DLQ)])
    await consumer.start()
    async with town.log.observer() as observer:
        count = sum((await observer.bounds(DELIVERIES + DLQ))[1].values())
    found: list = []

    async def all_read() -> bool:
        found.extend(r for some in (await consumer.getmany(timeout_ms=100)).values() for r in some)
        return len(found) == count

    await until(all_read)
    await consumer.stop()
    return found
