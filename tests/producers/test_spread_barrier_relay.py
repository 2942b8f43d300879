"""From the outbox row to its end: spread, committed past, removed; or found by the relay."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from consumers import wiring
from domain.clock import now_ms
from domain.events import Delivery, decode_delivery
from domain.ids import inbox_partition
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES, MESSAGES
from infra.mongo.outbox import Row
from producers.spread import Spreadable, records_of
from producers.wiring import relay as make_relay
from producers.wiring import send_path
from tests.builders import ANN, BOB, CEM, PARTITIONS, draft, running, stored, until


async def deliveries(town, count: int) -> list[Delivery]:
    """The first `count` records of the topic."""
    consumer = town.engines.log.consumer("deliveries-test", 10)
    consumer.subscribe([town.engines.log.topic(DELIVERIES)])
    await consumer.start()
    found: list[Delivery] = []

    async def all_read() -> bool:
        some = await consumer.getmany(timeout_ms=100)
        found.extend(decode_delivery(record.value) for records in some.values() for record in records)
        return len(found) >= count

    await until(all_read)
    await consumer.stop()
    return found


async def end_of(town, topic: str) -> int:
    async with town.engines.log.observer() as observer:
        return sum((await observer.bounds(topic))[1].values())


async def commit_past(town, offsets: dict[int, int]) -> None:
    """As the inbox consumers do."""
    consumer = town.engines.log.consumer("inbox", 10)
    name = town.engines.log.topic(DELIVERIES)
    consumer.assign([TopicPartition(name, partition) for partition in offsets])
    await consumer.start()
    await consumer.commit({TopicPartition(name, p): offset for p, offset in offsets.items()})
    await consumer.stop()


async def test_each_recipient_is_in_one_record_of_their_partition(town):
    group = await town.group(ANN, BOB, CEM)
    members = await town.path.membership.newest(group)
    records = records_of(Spreadable(members, 1, stored(group, 1).message), PARTITIONS)
    found = [
        (r.partition, user) for r in records if r.topic == DELIVERIES for user in decode_delivery(r.value).to
    ]
    assert sorted(found) == sorted((inbox_partition(user, PARTITIONS), user) for user in (ANN, BOB, CEM))
    assert [r.key for r in records if r.topic == MESSAGES] == [group.encode()]


async def test_record_carries_the_bytes_that_were_stored(town):
    members = await town.path.membership.newest(await town.direct())
    message = stored("d:ann:bob", 1).message
    records = records_of(Spreadable(members, 1, message), PARTITIONS)
    assert all(message in record.value for record in records)


async def test_sent_messages_are_spread_in_order(wired):
    conversation = await wired.direct()
    async with running(wired.path.spreader):
        for _ in range(20):
            await wired.send(draft(conversation))
        found = await deliveries(wired, 20 * len({inbox_partition(user, PARTITIONS) for user in (ANN, BOB)}))
    anns = [delivery.seq for delivery in found if ANN in delivery.to]
    assert anns == list(range(1, 21))


async def test_row_stays_until_inbox_has_committed_past_all_its_records(wired):
    """Nothing goes before: what is not yet in every timeline can still be spread again."""
    path = wired.path
    await path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
    path.barrier.confirmed(
        "r1", [Confirmed(DELIVERIES, 0, 4), Confirmed(DELIVERIES, 2, 7), Confirmed(MESSAGES, 1, 99)]
    )
    for committed in ({}, {0: 5}, {0: 4, 2: 8}, {0: 5, 2: 7}):
        if committed:
            await commit_past(wired, committed)
        await path.barrier.step()
        assert await wired.engines.outbox.count() == 1
    await commit_past(wired, {0: 5, 2: 8})
    await path.barrier.step()
    assert await wired.engines.outbox.count() == 0


async def test_row_of_refused_messages_alone_goes_at_once(wired):
    await wired.path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
    wired.path.barrier.confirmed("r1", [])
    await wired.path.barrier.step()
    assert await wired.engines.outbox.count() == 0


async def test_rows_that_were_not_confirmed_stay(wired):
    await wired.path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
    await wired.path.barrier.step()
    assert await wired.engines.outbox.count() == 1


async def test_outbox_is_empty_once_everything_is_in_the_timelines(wired):
    """The whole way of a row."""
    conversation = await wired.direct()
    async with running(wired.path.spreader, wiring.inbox(wired.engines)):
        for _ in range(5):
            await wired.send(draft(conversation))

        async def empty() -> bool:
            await wired.path.barrier.step()
            return await wired.engines.outbox.count() == 0

        await until(empty)
    assert [await wired.engines.timelines.head(user) for user in (ANN, BOB)] == [5, 5]


async def test_relay_spreads_what_a_dead_process_left(wired):
    """A crash between store and publish loses nothing."""
    conversation = await wired.direct()
    await wired.send(draft(conversation, text="left behind"))
    relay, _ = await make_relay(wired.engines)
    assert await relay.step() == 0
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    assert await relay.step() == 1
    found = await deliveries(wired, 1)
    assert {delivery.seq for delivery in found} == {1}
    assert b"left behind" in bytes(found[0].message)


async def test_relay_does_not_touch_rows_of_the_living(wired):
    await wired.send(draft(await wired.direct()))
    relay, _ = await make_relay(wired.engines)
    assert await relay.step() == 0
    assert await end_of(wired, DELIVERIES) == 0


async def test_row_without_its_message_is_kept_until_it_appears(wired):
    """Its process may be paused between row and message."""
    conversation = await wired.direct()
    await wired.engines.outbox.add("dead", Row("r1", now_ms(), [(conversation, 1), (conversation, 2)]))
    relay, barrier = await make_relay(wired.engines)
    await wired.engines.messages.insert([stored(conversation, 2)])
    assert await relay.step() == 1
    await relay.step()
    await barrier.step()
    assert await wired.engines.outbox.count() == 1
    await wired.engines.messages.insert([stored(conversation, 1)])
    await relay.step()
    found = await deliveries(wired, 2)
    assert {delivery.seq for delivery in found} == {1, 2}


async def test_row_whose_message_never_appears_goes_after_the_patience(wired):
    await wired.engines.outbox.add("dead", Row("r1", 1, [("d:ann:bob", 1)]))
    relay, barrier = await make_relay(wired.engines)
    await relay.step()
    await barrier.step()
    assert await wired.engines.outbox.count() == 0


async def test_relay_spreads_to_the_members_as_of_the_number(wired):
    """Recipients are the same whenever they are computed."""
    group = await wired.group(ANN, BOB)
    await wired.send(draft(group))
    await wired.path.groups.add(ANN, group, CEM)
    await wired.path.groups.remove(ANN, group, BOB)
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    relay, _ = await make_relay(wired.engines)
    await relay.step()
    found = await deliveries(wired, await end_of(wired, DELIVERIES))
    assert {user for delivery in found for user in delivery.to} == {ANN, BOB}


async def test_what_is_spread_twice_is_delivered_once(wired):
    """I6: by its own process and by the relay."""
    conversation = await wired.direct()
    async with running(wired.path.spreader, wiring.inbox(wired.engines)):
        for _ in range(5):
            await wired.send(draft(conversation))
        await until(lambda: _head(wired, 5))
        await wired.engines.outbox.end_lease(wired.path.barrier.owner)
        relay, _ = await make_relay(wired.engines)
        assert await relay.step() == 5
        await wired.send(draft(conversation))
        await until(lambda: _head(wired, 6))
    assert [line.seq for line in await wired.engines.timelines.page(BOB, 0, 100)] == [1, 2, 3, 4, 5, 6]


async def _head(town, expected: int) -> bool:
    return await town.engines.timelines.head(BOB) >= expected


async def test_row_that_kafka_does_not_take_is_left_to_the_relay(wired):
    """I7: no sender waits for Kafka, and the rows behind it are spread."""
    members = await wired.path.membership.newest(await wired.direct())
    async with running(wired.path.spreader):
        for name, size in (("r1", 2_000_000), ("r2", 10)):
            await wired.path.barrier.write(Row(name, 1, [("d:ann:bob", 1)]))
            wired.path.spreader.submit(name, [Spreadable(members, 1, b'"%b"' % (b"x" * size))])
    await wired.path.barrier.step()
    assert [row.row_id for row in await wired.engines.outbox.adopt("relay", 10)] == ["r1"]


async def test_full_queue_leaves_rows_to_the_relay(town, monkeypatch):
    """I8: the bound has an answer, and nothing is lost by it."""
    monkeypatch.setattr("producers.spread.WAITING_ROWS", 2)
    conversation = await town.direct()
    for _ in range(3):
        await town.send(draft(conversation))
    await town.path.barrier.step()
    assert [row.places for row in await town.engines.outbox.adopt("relay", 10)] == [[(conversation, 3)]]


async def test_lease_ends_with_the_barrier(wired):
    path = await send_path(wired.engines)
    async with running(path.barrier):
        await path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
        assert await wired.engines.outbox.adopt("relay", 9) == []
    assert len(await wired.engines.outbox.adopt("relay", 9)) == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_two_relays_share_no_row(wired, count):
    conversation = await wired.direct()
    for _ in range(count):
        await wired.send(draft(conversation))
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    relays = [(await make_relay(wired.engines))[0] for _ in range(2)]
    assert sum([await relay.step() for relay in relays]) == count
