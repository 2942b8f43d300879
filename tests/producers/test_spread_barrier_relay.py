"""From the outbox row to its end: spread, committed past, removed; or found by the relay."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition

from consumers import wiring
from domain.clock import now_ms
from domain.errors import Overloaded, Unavailable
from domain.events import Delivery, decode_delivery
from domain.ids import inbox_partition
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES, MESSAGES, TOPICS, ready_topics
from infra.mongo.outbox import OutboxStore, Row
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


class SilentOutbox(OutboxStore):
    """The real one, which does not answer once, after it has done its work."""

    silent = True

    async def adopt(self, owner, limit):
        rows = await super().adopt(owner, limit)
        if self.silent:
            self.silent = False
            raise Unavailable("no answer")
        return rows


async def test_rows_that_were_taken_over_without_an_answer_are_spread(wired):
    """MongoDB ended between the change of owner and its answer: the relay lives, and nobody else looks."""
    await wired.send(draft(await wired.direct()))
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    wired.engines.outbox = SilentOutbox(wired.engines.database)
    relay, _ = await make_relay(wired.engines)
    assert [await relay.step() for _ in range(3)] == [0, 1, 0]
    assert {delivery.seq for delivery in await deliveries(wired, 1)} == {1}


async def test_rows_that_another_relay_took_over_without_an_answer_are_spread(wired):
    """The turn is another's by then, and stays with it."""
    await wired.send(draft(await wired.direct()))
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    silent, real = SilentOutbox(wired.engines.database), wired.engines.outbox
    wired.engines.outbox = silent
    one, barrier = await make_relay(wired.engines)
    wired.engines.outbox = real
    other, _ = await make_relay(wired.engines)
    assert await one.step() == 0
    await barrier.end_turn()
    assert await other.step() == 1
    assert await one.step() == 0
    assert {delivery.seq for delivery in await deliveries(wired, 1)} == {1}


async def test_relay_does_not_touch_rows_of_the_living(wired):
    await wired.send(draft(await wired.direct()))
    relay, _ = await make_relay(wired.engines)
    assert await relay.step() == 0
    assert await end_of(wired, DELIVERIES) == 0


async def test_row_without_its_message_is_kept_until_it_appears(wired, monkeypatch):
    """Its process may be paused between row and message."""
    monkeypatch.setattr("producers.relay.LOOK_AGAIN_S", 0)
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


async def test_row_that_waits_for_its_message_goes_to_the_relay_whose_turn_it_is(wired, monkeypatch):
    """The turn of the one that took it over may not come again."""
    monkeypatch.setattr("producers.relay.LOOK_AGAIN_S", 0)
    conversation = await wired.direct()
    await wired.engines.outbox.add("dead", Row("r1", now_ms(), [(conversation, 1)]))
    one, barrier = await make_relay(wired.engines)
    other, _ = await make_relay(wired.engines)
    assert await one.step() == 1
    await barrier.end_turn()
    assert await other.step() == 0
    await wired.engines.messages.insert([stored(conversation, 1)])
    assert await one.step() == 0
    await barrier.step()
    assert await other.step() == 1
    assert {delivery.seq for delivery in await deliveries(wired, 1)} == {1}


async def test_rows_that_wait_for_their_messages_hold_up_no_others(wired):
    """Commits that were cut off, more of them than the relay takes at once."""
    conversation = await wired.direct()
    settings = wired.engines.settings.outbox.model_copy(update={"batch": 3})
    wired.engines.settings.outbox = settings
    for number in range(5):
        await wired.engines.outbox.add("dead", Row(f"1{number}", 1, [(conversation, 100 + number)]))
    await wired.engines.outbox.add("dead", Row("2", 1, [(conversation, 1)]))
    await wired.engines.messages.insert([stored(conversation, 1)])
    relay, _ = await make_relay(wired.engines)
    assert [await relay.step() for _ in range(3)] == [3, 3, 0]
    assert {delivery.seq for delivery in await deliveries(wired, 1)} == {1}
    assert not await wired.engines.outbox.relay_is_behind()


async def test_row_of_repetitions_alone_does_not_wait_for_their_numbers(wired):
    """They were refused: nothing will ever stand there, and the relay need not look."""
    conversation, path = await wired.direct(), wired.path
    await wired.send(draft(conversation, client_message_id="c"))
    path.barrier.give_up("as after a failure")
    for _ in range(3):
        await wired.send(draft(conversation, client_message_id="c"))
    both = [draft(conversation, client_message_id="c"), draft(conversation)]
    await asyncio.gather(*map(wired.send, both))
    await path.barrier.step()
    rows = await wired.engines.outbox.adopt("relay", 10)
    stored_now = {seq for seq, _ in await wired.engines.messages.page(conversation, 0, 999, 0, newest=False)}
    assert {seq for row in rows for _, seq in row.places} <= stored_now


async def test_row_whose_message_never_appears_goes_after_the_patience(wired, monkeypatch):
    monkeypatch.setattr("producers.relay.PATIENCE_S", 0)
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


async def test_row_goes_by_the_relay_until_the_relay_is_through(wired):
    """A conversation's messages arrive in its order, also after Kafka was away."""
    conversation, path = await wired.direct(), wired.path
    relay, barrier = await make_relay(wired.engines)
    path.barrier.give_up("as after a failure")
    async with running(path.spreader):
        for _ in range(3):
            await wired.send(draft(conversation))
            await path.barrier.step()
        assert path.barrier.detour
        assert await end_of(wired, DELIVERIES) == 0
        assert await relay.step() == 3
        await path.barrier.step()
        assert not path.barrier.detour
        await wired.send(draft(conversation))
        found = await deliveries(wired, 4 * len({inbox_partition(user, PARTITIONS) for user in (ANN, BOB)}))
    assert [delivery.seq for delivery in found if ANN in delivery.to] == [1, 2, 3, 4]
    await barrier.step()


async def test_relay_spreads_a_conversation_by_its_seq(wired):
    """Rows written on machines whose clocks differ."""
    conversation = await wired.direct()
    await wired.engines.messages.insert([stored(conversation, seq) for seq in (1, 2, 3)])
    for name, seq in (("1", 3), ("2", 1), ("3", 2)):
        await wired.engines.outbox.add("dead", Row(name, 1, [(conversation, seq)]))
    relay, _ = await make_relay(wired.engines)
    assert await relay.step() == 3
    found = await deliveries(wired, await end_of(wired, DELIVERIES))
    assert [delivery.seq for delivery in found if ANN in delivery.to] == [1, 2, 3]


async def test_relays_take_turns(wired):
    """Two at once would spread one conversation side by side."""
    await wired.send(draft(await wired.direct()))
    await wired.engines.outbox.end_lease(wired.path.barrier.owner)
    first, second = [(await make_relay(wired.engines))[0] for _ in range(2)]
    assert await first.step() == 1
    await wired.send(draft(await wired.direct()))
    assert await second.step() == 0
    first.stop()
    await first.run()
    assert await second.step() == 1


async def test_turn_of_a_dead_relay_lapses(wired):
    outbox = wired.engines.outbox
    assert await outbox.take_turn("dead", 0.2)
    assert not await outbox.take_turn("alive", 60)
    await until(lambda: outbox.take_turn("alive", 60))
    assert not await outbox.take_turn("dead", 60)


async def recreate_topics(town) -> None:
    """Kafka loses all that it holds, and someone makes the topics again."""
    log = town.engines.log
    async with log.admin() as admin:
        await admin.delete_topics([log.topic(topic.name) for topic in TOPICS])

        async def gone() -> bool:
            return not {log.topic(topic.name) for topic in TOPICS} & set(await admin.list_topics())

        await until(gone)
    await ready_topics(log)


async def test_records_that_kafka_lost_are_spread_again(wired):
    """I7: confirmed, lost, and the log is as long again as it was: nothing but the topic's id tells."""
    conversation, path = await wired.direct(), wired.path
    async with running(path.spreader):
        await wired.send(draft(conversation, text="lost"))
        await until(lambda: path.barrier._tracked)
    await path.barrier.step()
    await recreate_topics(wired)
    path = await send_path(wired.engines)
    async with running(path.spreader):
        await path.sender.send(draft(conversation, text="after"))
        await until(lambda: path.barrier._tracked)
    relay, _ = await make_relay(wired.engines)
    async with running(wiring.inbox(wired.engines)):
        await until(lambda: _head(wired, 1))

        async def emptied() -> bool:
            for barrier in (path.barrier, wired.path.barrier):
                await barrier.step()
            await relay.step()
            return await _head(wired, 2)

        await until(emptied, 30)


async def test_record_below_what_is_committed_already_is_not_taken_for_done(wired):
    """A log that lost its end and grows again: the group's offset speaks of what is no more."""
    path = wired.path
    await commit_past(wired, {0: 5})
    await path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
    await path.barrier.open_lease()
    path.barrier.confirmed("r1", [Confirmed(DELIVERIES, 0, 4)])
    await path.barrier.step()
    assert [row.row_id for row in await wired.engines.outbox.adopt("relay", 10)] == ["r1"]


async def test_sends_are_refused_while_the_outbox_is_full(wired):
    """I8. What is refused leaves no trace."""
    settings = wired.engines.settings.outbox.model_copy(update={"rows": 2})
    path = await send_path(wired.engines)
    path.barrier._settings = settings
    conversation = await wired.direct()
    for _ in range(2):
        await path.sender.send(draft(conversation))
    with pytest.raises(Overloaded):
        await path.sender.send(draft(conversation))
    assert (await wired.engines.messages.last(conversation))[0] == 2
    assert await wired.engines.sequence.heads([conversation]) == [2]
