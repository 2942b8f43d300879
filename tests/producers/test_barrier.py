"""A row of the outbox stays until the inbox consumers have committed past all its records."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from consumers import wiring
from domain.errors import Overloaded
from domain.ids import inbox_partition
from infra.kafka.metadata import Fingerprint
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES, MESSAGES, TOPICS, ready_topics
from infra.mongo.outbox import Row
from producers.barrier import Barrier
from producers.wiring import relay as make_relay
from producers.wiring import send_path
from tests.builders import ANN, BOB, PARTITIONS, draft, running, until
from tests.producers.log import bob_has, commit_past, deliveries, end_of


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


async def test_lease_ends_with_the_barrier(wired):
    path = await send_path(wired.engines)
    async with running(path.barrier):
        await path.barrier.write(Row("r1", 1, [("d:ann:bob", 1)]))
        assert await wired.engines.outbox.adopt("relay", 9) == []
    assert len(await wired.engines.outbox.adopt("relay", 9)) == 1


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
        await until(lambda: bob_has(wired, 1))

        async def emptied() -> bool:
            for barrier in (path.barrier, wired.path.barrier):
                await barrier.step()
            await relay.step()
            return await bob_has(wired, 2)

        await until(emptied)


def warnings(entries):
    return [(entry["event"], entry["rows"]) for entry in entries if "Kafka may have lost" in entry["event"]]


async def test_first_look_at_kafka_warns_of_lost_records_only_if_there_were_any(wired):
    """At a first start the topics are not whole yet when the lease is opened: there is no look before."""
    engines = wired.engines
    for confirmed, said in ([], []), (["r1"], [("Kafka may have lost records", 1)]):
        barrier = Barrier(engines.outbox, engines.inbox, engines.settings.outbox)
        for row_id in confirmed:
            await barrier.write(Row(row_id, 1, [("d:ann:bob", 1)]))
            barrier.confirmed(row_id, [Confirmed(DELIVERIES, 0, 4)])
        with capture_logs() as entries:
            await barrier.step()
        assert warnings(entries) == said


async def test_kafka_that_is_another_one_is_warned_of_also_when_nothing_waits(wired):
    barrier = wired.path.barrier
    assert barrier._look is not None
    barrier._look = barrier._look._replace(fingerprint=Fingerprint("another", (0, 0), ()))
    barrier.give_up("so that it looks")
    with capture_logs() as entries:
        await barrier.step()
    assert warnings(entries) == [("Kafka may have lost records", 0)]


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
