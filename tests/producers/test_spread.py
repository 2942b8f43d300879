"""What is stored becomes records in order, or is left to the relay."""

from __future__ import annotations

from domain.events import decode_delivery
from domain.ids import inbox_partition
from infra.kafka.topics import DELIVERIES, MESSAGES
from infra.mongo.outbox import Row
from producers.records import Spreadable, records_of
from tests.builders import ANN, BOB, CEM, PARTITIONS, draft, running, stored
from tests.producers.log import deliveries


async def test_each_recipient_is_in_one_record_of_their_partition(town):
    group = await town.group(ANN, BOB, CEM)
    members = await town.path.membership.newest(group)
    records = records_of([Spreadable(members, 1, stored(group, 1).message)], PARTITIONS)
    found = [
        (r.partition, user) for r in records if r.topic == DELIVERIES for user in decode_delivery(r.value).to
    ]
    assert sorted(found) == sorted((inbox_partition(user, PARTITIONS), user) for user in (ANN, BOB, CEM))
    assert [r.key for r in records if r.topic == MESSAGES] == [group.encode()]


async def test_record_carries_the_bytes_that_were_stored(town):
    members = await town.path.membership.newest(await town.direct())
    message = stored("d:ann:bob", 1).message
    records = records_of([Spreadable(members, 1, message)], PARTITIONS)
    assert all(message in record.value for record in records)


async def test_sent_messages_are_spread_in_order(wired):
    conversation = await wired.direct()
    async with running(wired.path.spreader):
        for _ in range(20):
            await wired.send(draft(conversation))
        found = await deliveries(wired, 20 * len({inbox_partition(user, PARTITIONS) for user in (ANN, BOB)}))
    anns = [delivery.seq for delivery in found if ANN in delivery.to]
    assert anns == list(range(1, 21))


async def test_row_that_kafka_does_not_take_is_left_to_the_relay(wired):
    """I7: no sender waits for Kafka, and what comes behind it does not overtake."""
    members = await wired.path.membership.newest(await wired.direct())
    async with running(wired.path.spreader):
        for name, size in (("r1", 2_000_000), ("r2", 10)):
            await wired.path.barrier.write(Row(name, 1, [("d:ann:bob", 1)]))
            wired.path.spreader.submit(name, [Spreadable(members, 1, b'"%b"' % (b"x" * size))])
    await wired.path.barrier.step()
    assert [row.row_id for row in await wired.engines.outbox.adopt("relay", 10)] == ["r1", "r2"]


async def test_full_queue_leaves_rows_to_the_relay(town, monkeypatch):
    """I8: the bound has an answer, and nothing is lost by it."""
    monkeypatch.setattr("producers.spread.WAITING_ROWS", 2)
    conversation = await town.direct()
    for _ in range(3):
        await town.send(draft(conversation))
    await town.path.barrier.step()
    assert [row.places for row in await town.engines.outbox.adopt("relay", 10)] == [[(conversation, 3)]]
