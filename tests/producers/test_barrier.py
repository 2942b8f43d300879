"""A row of the outbox stays until the inbox consumers have committed past all its records."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from consumers import wiring
from domain.errors import Overloaded, Unavailable
from domain.ids import inbox_partition
from infra.kafka.clients import Look, Progress
from infra.kafka.publisher import Confirmed
from infra.kafka.topics import DELIVERIES, MESSAGES, TOPICS, ready_topics
from infra.mongo.rows import Row, RowId
from producers.backlog import Backlog
from producers.barrier import HEAVY_SCAN_S, Barrier
from producers.wiring import relay as make_relay
from producers.wiring import send_path
from tests.builders import ANN, BOB, PARTITIONS, draft, running, until
from tests.patience import FAR_OFF_S
from tests.producers.log import bob_has, commit_past, deliveries


async def written(town, number: int = 1) -> RowId:
    """A row of the town's own process."""
    row = Row(RowId(town.path.lease.owner, number), 1, [("d:ann:bob", 1)])
    await town.stores.messages.insert([], row)
    return row.row_id


async def left(town) -> list[RowId]:
    """The rows that a relay finds."""
    return [row.row_id for row in await town.stores.outbox.adopt("~relay", 10, 1_000)]


async def test_row_stays_until_inbox_has_committed_past_all_its_records(wired):
    """Nothing goes before: what is not yet in every timeline can still be spread again."""
    path, row = wired.path, await written(wired)
    path.barrier.confirmed(
        [row], [Confirmed(DELIVERIES, 0, 4), Confirmed(DELIVERIES, 2, 7), Confirmed(MESSAGES, 1, 99)], {}
    )
    for committed in ({}, {0: 5}, {0: 4, 2: 8}, {0: 5, 2: 7}):
        if committed:
            await commit_past(wired, committed)
        await path.barrier.step()
        assert await wired.stores.outbox.count() == 1
    await commit_past(wired, {0: 5, 2: 8})
    await path.barrier.step()
    assert await wired.stores.outbox.count() == 0


async def test_row_of_refused_messages_alone_goes_at_once(wired):
    wired.path.barrier.confirmed([await written(wired)], [], {})
    await wired.path.barrier.step()
    assert await wired.stores.outbox.count() == 0


async def test_rows_that_were_not_confirmed_stay(wired):
    await written(wired)
    await wired.path.barrier.step()
    assert await wired.stores.outbox.count() == 1


async def test_row_of_repetitions_alone_does_not_wait_for_their_numbers(wired):
    """They were refused: nothing will ever stand there, and the relay need not look."""
    conversation, path = await wired.direct(), wired.path
    path.spreader.partitions = 0  # every row is given up
    await wired.send(draft(conversation, client_message_id="c"))
    for _ in range(3):
        await wired.send(draft(conversation, client_message_id="c"))
    both = [draft(conversation, client_message_id="c"), draft(conversation)]
    await asyncio.gather(*map(wired.send, both))
    await path.barrier.step()
    rows = await wired.stores.outbox.adopt("~relay", 10, 1_000)
    page = await wired.stores.messages.page(conversation, 0, 999, 0, newest=False)
    stored_now = {document["_id"]["q"] for document in page}
    assert {seq for row in rows for _, seq in row.places} == stored_now


async def test_outbox_is_empty_once_everything_is_in_the_timelines(wired):
    """The whole way of a row."""
    conversation = await wired.direct()
    async with running(wired.path.spreader, *wiring.inbox(wired.clients)):
        for _ in range(5):
            await wired.send(draft(conversation))

        async def empty() -> bool:
            await wired.path.barrier.step()
            return await wired.stores.outbox.count() == 0

        await until(empty)
    assert [await wired.stores.timelines.head(user) for user in (ANN, BOB)] == [5, 5]


async def test_lease_ends_with_the_barrier(wired):
    async with running(wired.path.barrier):
        row = await written(wired)
        assert await left(wired) == []
    assert await left(wired) == [row]


async def test_rows_behind_one_that_was_given_up_go_their_own_way(wired):
    """What the relay has delays nothing that comes after it."""
    conversation, path = await wired.direct(), wired.path
    await wired.send(draft(conversation))
    path.lease.give_up_written([RowId(path.lease.owner, 1)])
    await path.barrier.step()
    async with running(path.spreader):
        await wired.send(draft(conversation))
        both = len({inbox_partition(user, PARTITIONS) for user in (ANN, BOB)})
        found = await deliveries(wired, 2 * both)
    assert [delivery.seq for delivery in found if ANN in delivery.to] == [1, 2]
    relay, _ = await make_relay(wired.clients)
    assert await relay.step() == 1


async def recreate_topics(town) -> None:
    """Kafka loses all that it holds, and someone makes the topics again."""
    log = town.clients.log
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
        await until(lambda: len(path.barrier))
    await path.barrier.step()
    await recreate_topics(wired)
    path = await send_path(wired.clients)
    async with running(path.spreader):
        await path.sender.send(draft(conversation, text="after"))
        await until(lambda: len(path.barrier))
    relay, _ = await make_relay(wired.clients)
    async with running(*wiring.inbox(wired.clients)):
        await until(lambda: bob_has(wired, 1))

        async def emptied() -> bool:
            for barrier in (path.barrier, wired.path.barrier):
                await barrier.step()
            await relay.step()
            return await bob_has(wired, 2)

        await until(emptied)


def warnings(entries):
    return [(entry["event"], entry["rows"]) for entry in entries if "Kafka may have lost" in entry["event"]]


async def test_kafka_that_is_another_one_gets_all_rows_again(wired):
    barrier, row = wired.path.barrier, await written(wired)
    barrier.confirmed([row], [Confirmed(DELIVERIES, 0, 4)], {})
    await barrier.step()
    assert await left(wired) == []
    await recreate_topics(wired)
    with capture_logs() as entries:
        await barrier.step()
    assert warnings(entries) == [("Kafka may have lost records", 1)]
    await barrier.step()
    assert await left(wired) == [row]


async def test_first_look_gives_nothing_up(wired):
    """A process has started: that is no reason to doubt Kafka."""
    barrier = Barrier(wired.stores.outbox, wired.clients.inbox, wired.path.lease, Backlog(), 1.0)
    barrier.confirmed([await written(wired)], [Confirmed(DELIVERIES, 0, 4)], {})
    with capture_logs() as entries:
        await barrier.step()
    assert (warnings(entries), await left(wired)) == ([], [])


class Late(Progress):
    """The real one, which does not answer the first times: Kafka is there, and its coordinator is not."""

    times = 3

    async def look(self) -> Look:
        if self.times:
            self.times -= 1
            raise Unavailable("not yet")
        return await super().look()


async def test_coordinator_that_is_not_ready_makes_no_row_the_relays(wired):
    late = Late(wired.clients.log, "inbox", DELIVERIES)
    path = await send_path(wired.clients._replace(inbox=late))
    assert late.times == 2
    async with running(path.spreader):
        await path.sender.send(draft(await wired.direct()))
        await until(lambda: len(path.barrier))
    await path.barrier.step()
    assert await left(wired) == []
    await late.close()


async def test_record_below_what_was_committed_before_is_not_taken_for_done(wired):
    """A log that lost its end and grows again: the group's offset speaks of what is no more."""
    path = wired.path
    await commit_past(wired, {0: 5})
    row = await written(wired)
    path.barrier.confirmed([row], [Confirmed(DELIVERIES, 0, 4)], {0: 5})
    await path.barrier.step()
    assert await left(wired) == [row]


async def test_record_that_inbox_finished_before_it_was_confirmed_is_done(wired):
    """The confirmation comes late: the offset was committed, and looked at, meanwhile."""
    path, row = wired.path, await written(wired)
    before = await path.barrier.committed()
    await commit_past(wired, {0: 5})
    path.barrier.confirmed([await written(wired, 2)], [Confirmed(DELIVERIES, 0, 0)], before)
    await path.barrier.step()
    path.barrier.confirmed([row], [Confirmed(DELIVERIES, 0, 4)], before)
    await path.barrier.step()
    assert await wired.stores.outbox.count() == 0


async def test_sends_are_refused_while_the_outbox_is_full(wired):
    """I8. What is refused leaves no trace."""
    wired.clients.settings.outbox = wired.clients.settings.outbox.model_copy(update={"rows": 2})
    path = await send_path(wired.clients)
    conversation = await wired.direct()
    for _ in range(2):
        await path.sender.send(draft(conversation))
    await path.barrier.step()
    with pytest.raises(Overloaded):
        await path.sender.send(draft(conversation))
    assert await wired.stores.messages.last(conversation) == 2
    assert [one.first for one in await wired.stores.sequence.take([(conversation, 1)])] == [3]


class Silent(Progress):
    """Of a Kafka that does not answer."""

    looks = 0

    async def look(self) -> Look:
        self.looks += 1
        raise Unavailable("no answer")


async def test_kafka_that_does_not_answer_is_not_asked_more_often_because_much_waits(town):
    silent, backlog = Silent(town.clients.log, "inbox", DELIVERIES), Backlog()
    barrier = Barrier(town.stores.outbox, silent, town.path.lease, backlog, FAR_OFF_S)
    barrier.confirmed([await written(town)], [Confirmed(DELIVERIES, 0, 4)], {}, 0)
    backlog.enter(1_000_000)
    async with running(barrier):
        await until(lambda: silent.looks)
        await asyncio.sleep(5 * HEAVY_SCAN_S)
        assert silent.looks == 1
