"""inbox: writes each message to the recipients' timelines, then to their rings, then to `arrivals`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence

from consumers.behind import Behind
from consumers.loop import Taken
from consumers.pace import Pace
from consumers.timeline_writer import TimelineWriter, Wanted
from domain.entries import Entry
from domain.errors import Unavailable
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Broken, Delivery, gateway_bytes
from domain.ids import UserId
from domain.limits import GATEWAYS_BYTES
from infra.crash import crash_point
from infra.kafka.publisher import Publisher, Record
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.redis.ring import Ring
from infra.telemetry.logs import logger
from infra.telemetry.names import INBOX_S

Places = tuple[tuple[UserId, int], ...]
"""Users with the inbox number that a message has in their timelines."""


class Inbox:
    """Store, then sync, then push (I2). A delivery that is handled again changes no timeline and no ring.

    Without Redis it goes on: it writes timelines and arrivals, and remembers whose rings missed an entry.
    """

    group = "inbox"
    topic = DELIVERIES

    def __init__(self, timelines: TimelineWriter, ring: Ring, behind: Behind, publisher: Publisher) -> None:
        self._timelines = timelines
        self._ring = ring
        self._behind = behind
        self._publisher = publisher
        self.pace = Pace()

    def decode(self, value: bytes) -> Sequence[Delivery | Broken]:
        return DELIVERY_RECORDS.decode(value)

    def encode(self, event: Delivery) -> bytes:
        return DELIVERY_RECORDS.encode([event])

    async def handle(self, batch: Sequence[Taken[Delivery]]) -> Awaitable[object]:
        began = time.perf_counter()
        wanted = [Wanted(user, d.conversation_id, d.seq) for _, d in batch for user in d.to]
        numbers = iter(await self._timelines.append(wanted))
        crash_point("timeline")
        entries: dict[UserId, dict[int, bytes]] = {}
        places: list[Places] = []
        for _, delivery in batch:
            message = bytes(delivery.message)
            to = tuple([(user, next(numbers)) for user in delivery.to])
            for user, seq in to:
                entries.setdefault(user, {})[seq] = message
            places.append(to)
        gateways = await self._append(entries, batch)
        crash_point("ring")
        receipt = await self._publisher.enqueue(_records(batch, places, gateways))
        crash_point("arrivals")
        worked_s = time.perf_counter() - began
        self.pace.took(len(wanted), worked_s)
        INBOX_S.observe(worked_s)
        return receipt.confirmed()

    async def _append(
        self, entries: Mapping[UserId, Mapping[int, bytes]], batch: Sequence[Taken[Delivery]]
    ) -> Mapping[UserId, Sequence[str]] | None:
        """Put the entries into the rings. Returns the gateways of each user.

        Returns None if Redis did not answer. Then it is durable which rings may lack an entry.
        """
        try:
            return await self._ring.append(
                [(user, run) for user, some in entries.items() for run in _runs(some)]
            )
        except Unavailable as error:
            await self._behind.mark({user: partition for partition, d in batch for user in d.to})
            logger().warning("could not write rings", users=len(entries), error=error.message)
            return None


def _records(
    batch: Sequence[Taken[Delivery]],
    places: Sequence[Places],
    gateways: Mapping[UserId, Sequence[str]] | None,
) -> list[Record]:
    """One record of arrivals for each partition, or more if the messages are large."""
    arrivals: dict[int, list[Arrival]] = {}
    for (partition, delivery), to in zip(batch, places, strict=True):
        where = None if gateways is None else _online(to, gateways)
        arrival = Arrival(delivery.conversation_id, delivery.seq, to, delivery.message, where)
        arrivals.setdefault(partition, []).append(arrival)
    return [
        Record(ARRIVALS, partition, b"%d" % partition, value)
        for partition, some in arrivals.items()
        for value in ARRIVAL_RECORDS.encode_all(some)
    ]


def _online(to: Places, gateways: Mapping[UserId, Sequence[str]]) -> dict[str, list[int]] | None:
    """Gateway → the places in `to` of its users. None if this is too large for a record: then push looks up
    where the users are.
    """
    found: dict[str, list[int]] = {}
    for place, (user, _) in enumerate(to):
        for gateway in gateways[user]:
            found.setdefault(gateway, []).append(place)
    return found if gateway_bytes(found) <= GATEWAYS_BYTES else None


def _runs(entries: Mapping[int, bytes]) -> Iterator[list[Entry]]:
    """The entries in order, in runs of consecutive numbers."""
    run: list[Entry] = []
    for seq in sorted(entries):
        if run and seq != run[-1].seq + 1:
            yield run
            run = []
        run.append(Entry(seq, entries[seq]))
    yield run
