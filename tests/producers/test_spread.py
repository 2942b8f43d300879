"""What is stored becomes records in order, or is left to the relay."""

from __future__ import annotations

from domain.events import DELIVERY_RECORDS, SOFT_BYTES
from domain.ids import inbox_partition
from infra.kafka.topics import DELIVERIES, MESSAGES
from producers.records import Spreadable, records_of
from tests.builders import ANN, BOB, CEM, PARTITIONS, draft, running, stored, until
from tests.producers.log import deliveries, records_in


async def test_each_recipient_is_in_one_record_of_their_partition(town):
    group = await town.group(ANN, BOB, CEM)
    members = await town.path.membership.newest(group)
    records = records_of([Spreadable(members, 1, stored(group, 1).message)], PARTITIONS)
    found = [
        (r.partition, user)
        for r in records
        if r.topic == DELIVERIES
        for delivery in DELIVERY_RECORDS.decode(r.value)
        for user in delivery.to
    ]
    assert sorted(found) == sorted((inbox_partition(user, PARTITIONS), user) for user in (ANN, BOB, CEM))
    assert [r.key for r in records if r.topic == MESSAGES] == [group.encode()]


async def test_record_carries_the_bytes_that_were_stored(town):
    members = await town.path.membership.newest(await town.direct())
    message = stored("d:ann:bob", 1).message
    records = records_of([Spreadable(members, 1, message)], PARTITIONS)
    assert all(message in record.value for record in records)


async def test_messages_of_a_commit_share_one_record_in_each_partition(town):
    group = await town.group(ANN, BOB, CEM)
    members = await town.path.membership.newest(group)
    items = [Spreadable(members, seq, stored(group, seq).message) for seq in range(1, 6)]
    records = records_of(items, PARTITIONS)
    partitions = {inbox_partition(user, PARTITIONS) for user in (ANN, BOB, CEM)}
    deliveries = [record for record in records if record.topic == DELIVERIES]
    assert sorted(record.partition for record in deliveries) == sorted(partitions)
    for record in deliveries:
        assert [delivery.seq for delivery in DELIVERY_RECORDS.decode(record.value)] == [1, 2, 3, 4, 5]
    assert len([record for record in records if record.topic == MESSAGES]) == 5


async def test_records_of_a_large_commit_are_bounded_in_bytes_and_keep_the_order(town):
    """I8: one large message alone may exceed the bound."""
    group = await town.group(ANN)
    members = await town.path.membership.newest(group)
    sizes = [100_000, 100_000, 100_000, 300_000, 10, 10]
    items = [Spreadable(members, seq, b'"%b"' % (b"x" * size)) for seq, size in enumerate(sizes, 1)]
    records = [record.value for record in records_of(items, PARTITIONS) if record.topic == DELIVERIES]
    seqs = [[delivery.seq for delivery in DELIVERY_RECORDS.decode(value)] for value in records]
    assert seqs == [[1, 2], [3], [4], [5, 6]]
    assert [len(value) <= SOFT_BYTES for value in records] == [True, True, False, True]


async def test_sent_messages_are_spread_in_order(wired):
    conversation = await wired.direct()
    async with running(wired.path.spreader):
        for _ in range(20):
            await wired.send(draft(conversation))
        found = await deliveries(wired, 20 * len({inbox_partition(user, PARTITIONS) for user in (ANN, BOB)}))
    anns = [delivery.seq for delivery in found if ANN in delivery.to]
    assert anns == list(range(1, 21))


async def test_rows_that_wait_share_a_record_up_to_a_bound(wired, monkeypatch):
    """I8. The order stays, and stopping loses none."""
    monkeypatch.setattr("producers.spread.RECIPIENTS_AT_ONCE", 4)
    path, conversation = wired.path, await wired.direct()
    members = await path.membership.newest(conversation)
    for seq in range(1, 6):
        row = path.lease.new_row([(conversation, seq)])
        path.spreader.submit(row, [Spreadable(members, seq, stored(conversation, seq).message)])
    path.spreader.stop()
    await path.spreader.run()
    records = await records_in(wired, inbox_partition(ANN, PARTITIONS), 5)
    assert [[delivery.seq for delivery in record] for record in records] == [[1, 2], [3, 4], [5]]
    assert len(path.barrier) == 5


async def test_row_that_kafka_does_not_take_is_left_to_the_relay(wired):
    """I7: no sender waits for Kafka, and what comes behind it goes its own way."""
    path = wired.path
    members = await path.membership.newest(await wired.direct())
    refused, taken = [path.lease.new_row([("d:ann:bob", seq)]) for seq in (1, 2)]
    async with running(path.spreader):
        path.spreader.submit(refused, [Spreadable(members, 1, b'"%b"' % (b"x" * 2_000_000))])
        await until(lambda: not path.backlog.recipients)
        path.spreader.submit(taken, [Spreadable(members, 2, b'"x"')])
        await until(lambda: len(path.barrier))
    await path.barrier.step()
    assert await wired.stores.outbox.adopt("~relay", 10, 1_000) == [refused]


async def test_full_queue_leaves_rows_to_the_relay(town, monkeypatch):
    """I8: the bound has an answer, and nothing is lost by it."""
    conversation = await town.direct()
    size = len(stored(conversation, 1).message)
    monkeypatch.setattr("producers.spread.WAITING_BYTES", 5 * size // 2)
    for _ in range(3):
        await town.send(draft(conversation))
    await town.path.barrier.step()
    assert [row.places for row in await town.stores.outbox.adopt("~relay", 10, 9)] == [[(conversation, 3)]]
