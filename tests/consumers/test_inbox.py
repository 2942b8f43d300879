from __future__ import annotations

import asyncio

import pytest
from msgspec import Raw

from api.sync import Sync
from consumers import wiring
from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter
from domain.errors import Unavailable
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Delivery
from domain.ids import inbox_partition
from infra.kafka.publisher import Publisher, Record
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.mongo.behind import BehindStore
from infra.mongo.contents import Contents
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import TimelineStore
from infra.redis.presence import Online, Presence
from infra.redis.ring import Ring
from infra.redis.signals import Pushed, Signals
from tests.builders import PARTITIONS, keys_of, running, stored, until

USERS = ("ann", "bob", "cem")


def taken(seq: int, *users: str) -> Taken[Delivery]:
    message = Raw(stored("g:x", seq).message)
    return Taken(inbox_partition(users[0], PARTITIONS), Delivery("g:x", seq, users, message))


@pytest.fixture
def ring(town):
    return Ring(town.redis, keys_of(town.settings), town.settings.ring)


@pytest.fixture
def behind_of(town):
    return lambda ring: Behind(ring, BehindStore(town.database), PARTITIONS)


@pytest.fixture
def inbox_of(town, ring, behind_of):
    """An inbox with what is given in place of the real thing."""

    def inbox_of(timelines=None, rings=ring, behind=None, publisher=town.publisher) -> Inbox:
        writer = timelines or TimelineWriter(TimelineStore(town.database))
        return Inbox(
            writer, Contents(MessageStore(town.database)), rings, behind or behind_of(rings), publisher
        )

    return inbox_of


@pytest.fixture
def inbox(inbox_of):
    return inbox_of()


async def deliver(inbox: Inbox, *batch: Taken[Delivery]) -> None:
    await (await inbox.handle(batch))


async def open_rings(town, ring) -> None:
    """As devices do that pull."""
    sync = Sync(ring, TimelineStore(town.database), Contents(MessageStore(town.database)))
    for user in USERS:
        await sync.pull(user, 0, 1)


async def state(town) -> tuple[list, list]:
    """Every timeline and every ring, byte for byte."""
    lines = [await TimelineStore(town.database).page(user, 0, 1000) for user in USERS]
    rings = [await town.redis.lrange(keys_of(town.settings).ring(user), 0, -1) for user in USERS]
    return lines, rings


async def arrivals(town, count: int) -> list[Arrival]:
    consumer = town.log.consumer("arrivals-test", 10)
    consumer.subscribe([town.log.topic(ARRIVALS)])
    await consumer.start()
    found: list[Arrival] = []

    async def all_read() -> bool:
        some = await consumer.getmany(timeout_ms=100)
        found.extend(a for records in some.values() for r in records for a in ARRIVAL_RECORDS.decode(r.value))
        return len(found) >= count

    await until(all_read)
    await consumer.stop()
    return found


async def test_message_gets_into_timeline_ring_and_arrivals(town, inbox, ring):
    await open_rings(town, ring)
    await deliver(inbox, taken(1, "ann", "bob"), taken(2, "ann"))
    assert await TimelineStore(town.database).head("ann") == 2
    held = await ring.read("ann", 0, 10)
    assert [entry.seq for entry in held.entries] == [1, 2]
    assert b'"message_id":"g:x:2"' in held.entries[1].message
    assert [a.to for a in await arrivals(town, 2)] == [(("ann", 1), ("bob", 1)), (("ann", 2),)]


async def test_entry_is_durable_before_it_is_in_the_ring(town, inbox_of, ring):
    """I2: without the store there is nothing in the ring and nothing on its way to devices."""
    await open_rings(town, ring)
    before = await state(town)
    broken = inbox_of(timelines=_Away())
    with pytest.raises(Unavailable):
        await broken.handle([taken(1, "ann")])
    assert await state(town) == before
    async with town.log.observer() as observer:
        assert set((await observer.bounds(ARRIVALS))[1].values()) == {0}


async def test_entry_is_in_the_timeline_before_the_ring_and_in_the_ring_before_arrivals(town, ring, inbox_of):
    """I2: what a device has seen, every other device can pull."""
    await open_rings(town, ring)
    seen = []

    class WatchedRing(Ring):
        async def append(self, runs):
            seen.append(("timeline", await TimelineStore(town.database).head("ann")))
            return await super().append(runs)

    class WatchedPublisher(Publisher):
        async def enqueue(self, records):
            seen.append(("ring", (await ring.read("ann", 0, 9)).head))
            return await super().enqueue(records)

    publisher = WatchedPublisher(town.log)
    watched = WatchedRing(town.redis, keys_of(town.settings), town.settings.ring)
    await deliver(inbox_of(rings=watched, publisher=publisher), taken(1, "ann"))
    await publisher.close()
    assert seen == [("timeline", 1), ("ring", 1)]


class _Away:
    """A store that does not answer."""

    async def append(self, wanted: object) -> list[int]:
        raise Unavailable("away")


async def test_whole_log_replayed_leaves_timelines_and_rings_as_they_were(town, inbox, inbox_of, ring):
    """I6: from offset 0, by a consumer that remembers nothing, in other batches."""
    await open_rings(town, ring)
    log = [taken(seq, *USERS[: seq % 3 + 1]) for seq in range(1, 30)]
    await deliver(inbox, *log)
    before = await state(town)
    assert all(before[1])
    successor = inbox_of()
    for first in range(0, len(log), 7):
        await deliver(successor, *log[first : first + 7])
    assert await state(town) == before


async def test_ring_holds_the_newest_of_its_timeline(town, inbox, ring):
    """I4, with a capacity of 5."""
    await open_rings(town, ring)
    await deliver(inbox, *(taken(seq, "ann") for seq in range(1, 13)))
    held = await ring.read("ann", 7, 10)
    assert (held.oldest, held.head, len(held.entries)) == (8, 12, 5)


async def test_user_who_never_reads_costs_no_ring(town, inbox, ring):
    await deliver(inbox, taken(1, "ann"))
    assert await town.redis.exists(keys_of(town.settings).ring("ann")) == 0


async def test_record_that_can_never_be_handled_does_not_decode(inbox):
    for value in (b"", b"{}", b"\xff", ARRIVAL_RECORDS.encode([Arrival("g:x", 1, (), Raw(b"{}"))])):
        with pytest.raises(ValueError, match=r"."):
            inbox.decode(value)


async def test_delivery_on_the_log_is_pushed_to_the_gateway_of_its_user(town):
    """The whole way of the consumers: deliveries, inbox, arrivals, push, gateway."""
    heard: list[Pushed] = []
    signals = Signals(town.redis, keys_of(town.settings))
    gateway = _Gateway(signals, heard)
    phone, web = (Online("ann", device, "s") for device in ("phone", "web"))
    await Presence(town.redis, keys_of(town.settings), 60).write("g1", [(phone, True), (web, True)])
    async with running(*wiring.inbox(town), wiring.push(town), gateway):
        await until(lambda: gateway.ready)
        for seq in (1, 2, 3):
            one = taken(seq, "ann", "bob")
            records = [Record(DELIVERIES, one.partition, b"k", DELIVERY_RECORDS.encode([one.event]))]
            await (await town.publisher.enqueue(records)).confirmed()
        await until(lambda: len(heard) == 3)
    assert [pushed.to for pushed in heard] == [[("ann", seq)] for seq in (1, 2, 3)]
    assert b'"message_id":"g:x:1"' in heard[0].message


class _Gateway:
    """Listens as a gateway does."""

    name = "gateway"

    def __init__(self, signals: Signals, heard: list[Pushed]) -> None:
        self._signals = signals
        self._heard = heard
        self._task = None
        self.ready = False

    async def run(self) -> None:
        self._task = asyncio.create_task(self._signals.listen("g1", self._heard.extend, self._subscribed))
        await asyncio.wait([self._task])

    async def _subscribed(self) -> None:
        self.ready = True

    def stop(self) -> None:
        self._task.cancel()
