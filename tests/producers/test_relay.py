"""What nobody spread, the relay finds, and spreads once and in order."""

from __future__ import annotations

import pytest

from consumers import wiring
from domain.clock import now_ms
from domain.errors import Unavailable
from infra.kafka.topics import DELIVERIES
from infra.mongo.outbox import OutboxStore
from infra.mongo.rows import Row, RowId
from producers.wiring import relay as make_relay
from tests.builders import ANN, BOB, CEM, draft, running, stored, until
from tests.producers.log import all_deliveries, bob_has, end_of


async def test_relay_spreads_what_a_dead_process_left(wired):
    """A crash between store and publish loses nothing."""
    conversation = await wired.direct()
    await wired.send(draft(conversation, text="left behind"))
    relay, _ = await make_relay(wired.clients)
    assert await relay.step() == 0
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    assert await relay.step() == 1
    found = await all_deliveries(wired)
    assert {delivery.seq for delivery in found} == {1}
    assert b"left behind" in bytes(found[0].message)


async def left(wired, number, places, at=1):
    """A row of a process that is gone."""
    await wired.stores.messages.insert([], Row(RowId("dead", number), at, places))


class SilentOutbox(OutboxStore):
    """The real one, which does not answer once, after it has done its work."""

    silent = True

    async def adopt(self, *asked):
        rows = await super().adopt(*asked)
        if self.silent:
            self.silent = False
            raise Unavailable("no answer")
        return rows


async def test_rows_that_were_taken_over_without_an_answer_are_spread(wired, monkeypatch):
    """MongoDB ended between the change of owner and its answer: the relay lives, and nobody else looks."""
    await wired.send(draft(await wired.direct()))
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    monkeypatch.setattr("producers.wiring.OutboxStore", SilentOutbox)
    relay, _ = await make_relay(wired.clients)
    assert [await relay.step() for _ in range(3)] == [0, 1, 0]
    assert {delivery.seq for delivery in await all_deliveries(wired)} == {1}


async def test_rows_that_another_relay_took_over_without_an_answer_are_spread(wired):
    """The turn is another's by then, and stays with it."""
    await wired.send(draft(await wired.direct()))
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producers.wiring.OutboxStore", SilentOutbox)
        one, _ = await make_relay(wired.clients)
    other, _ = await make_relay(wired.clients)
    assert await one.step() == 0
    await wired.stores.outbox.end_turn(one.lease.owner)
    assert await other.step() == 1
    assert await one.step() == 0
    assert {delivery.seq for delivery in await all_deliveries(wired)} == {1}


async def test_relay_does_not_touch_rows_of_the_living(wired):
    await wired.send(draft(await wired.direct()))
    relay, _ = await make_relay(wired.clients)
    assert await relay.step() == 0
    assert await end_of(wired, DELIVERIES) == 0


async def test_row_without_its_message_is_kept_until_it_appears(wired, monkeypatch):
    """Its process may be paused between row and message."""
    monkeypatch.setattr("producers.relay.LOOK_AGAIN_S", 0)
    conversation = await wired.direct()
    await left(wired, 1, [(conversation, 1), (conversation, 2)], at=now_ms())
    relay, barrier = await make_relay(wired.clients)
    await wired.stores.messages.insert([stored(conversation, 2)])
    assert await relay.step() == 1
    await relay.step()
    await barrier.step()
    assert await wired.stores.outbox.count() == 1
    await wired.stores.messages.insert([stored(conversation, 1)])
    await relay.step()
    found = await all_deliveries(wired)
    assert {delivery.seq for delivery in found} == {1, 2}


async def test_row_that_waits_for_its_message_goes_to_the_relay_whose_turn_it_is(wired, monkeypatch):
    """The turn of the one that took it over may not come again."""
    monkeypatch.setattr("producers.relay.LOOK_AGAIN_S", 0)
    conversation = await wired.direct()
    await left(wired, 1, [(conversation, 1)], at=now_ms())
    settings = wired.clients.settings.outbox
    wired.clients.settings.outbox = settings.model_copy(update={"lease_s": 0.6})
    one, barrier = await make_relay(wired.clients)
    wired.clients.settings.outbox = settings
    other, _ = await make_relay(wired.clients)
    assert await one.step() == 1
    await until(lambda: wired.stores.outbox.take_turn(other.lease.owner, 60))
    await wired.stores.messages.insert([stored(conversation, 1)])
    assert await one.step() == 0
    await barrier.step()
    assert await other.step() == 1
    assert {delivery.seq for delivery in await all_deliveries(wired)} == {1}


async def test_rows_that_wait_for_their_messages_hold_up_no_others(wired):
    """Commits that were cut off, more of them than the relay takes at once."""
    conversation = await wired.direct()
    settings = wired.clients.settings.outbox.model_copy(update={"batch": 3})
    wired.clients.settings.outbox = settings
    for number in range(5):
        await left(wired, number, [(conversation, 100 + number)])
    await left(wired, 5, [(conversation, 1)])
    await wired.stores.messages.insert([stored(conversation, 1)])
    relay, _ = await make_relay(wired.clients)
    assert [await relay.step() for _ in range(3)] == [3, 3, 0]
    assert {delivery.seq for delivery in await all_deliveries(wired)} == {1}
    assert not await wired.stores.outbox.relay_is_behind()


async def test_row_whose_message_never_appears_goes_after_the_patience(wired, monkeypatch):
    monkeypatch.setattr("producers.relay.PATIENCE_S", 0)
    await left(wired, 1, [("d:ann:bob", 1)], at=1)
    relay, barrier = await make_relay(wired.clients)
    await relay.step()
    await barrier.step()
    assert await wired.stores.outbox.count() == 0


async def test_relay_spreads_to_the_members_as_of_the_number(wired):
    """Recipients are the same whenever they are computed."""
    group = await wired.group(ANN, BOB)
    await wired.send(draft(group))
    await wired.path.groups.add(ANN, group, CEM)
    await wired.path.groups.remove(ANN, group, BOB)
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    relay, _ = await make_relay(wired.clients)
    await relay.step()
    found = await all_deliveries(wired)
    assert {user for delivery in found for user in delivery.to} == {ANN, BOB}


async def test_what_is_spread_twice_is_delivered_once(wired):
    """I6: by its own process and by the relay."""
    conversation = await wired.direct()
    async with running(wired.path.spreader, *wiring.inbox(wired.clients)):
        for _ in range(5):
            await wired.send(draft(conversation))
        await until(lambda: bob_has(wired, 5))
        await wired.stores.outbox.end_lease(wired.path.lease.owner)
        relay, _ = await make_relay(wired.clients)
        assert await relay.step() == 5
        await wired.send(draft(conversation))
        await until(lambda: bob_has(wired, 6))
    assert [line.seq for line in await wired.stores.timelines.page(BOB, 0, 100)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("count", [1, 3])
async def test_two_relays_share_no_row(wired, count):
    conversation = await wired.direct()
    for _ in range(count):
        await wired.send(draft(conversation))
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    relays = [(await make_relay(wired.clients))[0] for _ in range(2)]
    assert sum([await relay.step() for relay in relays]) == count


async def test_relay_spreads_a_conversation_by_its_seq(wired):
    """Rows written on machines whose clocks differ."""
    conversation = await wired.direct()
    await wired.stores.messages.insert([stored(conversation, seq) for seq in (1, 2, 3)])
    for number, seq in ((1, 3), (2, 1), (3, 2)):
        await left(wired, number, [(conversation, seq)])
    relay, _ = await make_relay(wired.clients)
    assert await relay.step() == 3
    found = await all_deliveries(wired)
    assert [delivery.seq for delivery in found if ANN in delivery.to] == [1, 2, 3]


async def test_relays_take_turns(wired):
    """Two at once would spread one conversation side by side."""
    await wired.send(draft(await wired.direct()))
    await wired.stores.outbox.end_lease(wired.path.lease.owner)
    first, second = [(await make_relay(wired.clients))[0] for _ in range(2)]
    assert await first.step() == 1
    await wired.send(draft(await wired.direct()))
    assert await second.step() == 0
    first.stop()
    await first.run()
    assert await second.step() == 1


async def test_turn_of_a_dead_relay_lapses(wired):
    outbox = wired.stores.outbox
    assert await outbox.take_turn("dead", 0.2)
    assert not await outbox.take_turn("alive", 60)
    await until(lambda: outbox.take_turn("alive", 60))
    assert not await outbox.take_turn("dead", 60)
