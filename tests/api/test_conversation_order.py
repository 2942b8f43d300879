"""The order of the list of conversations against a naive reading, whatever writers, readers and Redis do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import api.conversation_order
import infra.redis.recent
import infra.redis.ring
from api.conversation_order import ConversationOrder, OrderPage
from domain.ids import ConversationId
from infra.mongo.activity import ActivityStore
from infra.redis.recent import Known
from tests.api.listing import AwayRecent, InboxTown
from tests.builders import Stores, opened_stores, settings_for
from tests.models import run_model

some_conversation = st.integers(0, 1_000)
EVENTS = ["send", "record", "late", "found", "die", "lose", "evict", "leave"]
events = st.tuples(st.sampled_from(EVENTS), some_conversation)


class Model(RuleBasedStateMachine):
    def __init__(self, stores: Stores, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        super().__init__()
        self.town, self.run = InboxTown(stores), run

    def chosen(self, number: int) -> ConversationId:
        conversations = list(self.town.made)
        return conversations[number % len(conversations)]

    async def happen(self, event: str, number: int) -> None:
        town = self.town
        if event == "found" or not town.made:
            await town.found()
            return
        conversation = self.chosen(number)
        if event == "send":
            await town.send(conversation)
        elif event == "record":
            await town.send(conversation, "edit")
        elif event == "late":  # the relay brings a message after a newer one
            newer = await town.store(conversation, skip=1)
            await town.store_at(conversation, newer - 1)
            await town.arrive((conversation, newer, "message"))
            await town.arrive((conversation, newer - 1, "message"))
        elif event == "die":
            await town.send(conversation, dies=True)
        elif event == "lose":  # all that Redis has of the user
            keys = town.stores.keys
            await town.stores.redis.delete(
                keys.recent(town.user), keys.ring(town.user), keys.filling(town.user)
            )
        elif event == "evict":
            await town.evict()
        elif event == "leave":
            await town.leave(conversation)

    @rule(event=events)
    def something_happens(self, event):
        self.run(self.happen(*event))

    @rule(count=st.integers(1, 4))
    def groups_are_founded(self, count):
        for _ in range(count):
            self.run(self.town.found())

    @precondition(lambda self: self.town.made)
    @rule(numbers=st.lists(some_conversation, min_size=1, max_size=6))
    def messages_come_in_one_batch(self, numbers):
        async def batch() -> None:
            chosen = [self.chosen(number) for number in numbers]
            await self.town.arrive(*[(c, await self.town.store(c), "message") for c in chosen])

        self.run(batch())

    @precondition(lambda self: self.town.lines)
    @rule(first=st.integers(1, 60))
    def inbox_handles_its_log_again(self, first):
        town = self.town
        self.run(town.ring.append([(town.user, town.entries(min(first, len(town.lines))))]))

    @rule(limit=st.integers(1, 6))
    def list_is_the_naive_one(self, limit):
        listed = self.run(self.town.pages(limit))
        assert [(one.conversation_id, one.seq) for one in listed] == self.town.naive()

    @rule(limit=st.integers(1, 3), activity=st.lists(events, min_size=1, max_size=8))
    def list_stays_as_it_began_while_something_happens(self, limit, activity):
        before, following = self.town.naive(), iter(activity)

        async def between() -> None:
            if event := next(following, None):
                await self.happen(*event)

        listed = self.run(self.town.pages(limit, between))
        names = [one.conversation_id for one in listed]
        assert len(set(names)) == len(names)
        known = dict(before)
        assert [(one.conversation_id, one.seq) for one in listed if one.conversation_id in known] == before

    def teardown(self):
        without_redis = self.town.order_with(AwayRecent(self.town.stores.redis, self.town.stores.keys, 600))
        page = self.run(without_redis.page(self.town.user, None, 1_000))
        assert [(one.conversation_id, one.seq) for one in page.listed] == self.town.naive()


@pytest.mark.parametrize("bounds", ["small", "usual"])
def test_list_is_the_naive_one_whatever_happens(engines, unique, monkeypatch, bounds):
    """With small bounds a list of some conversations needs every source: set, windows, census."""
    if bounds == "small":
        for name, bound in (("WINDOWS", (2, 4)), ("FEW", 4), ("MISSED_LINES", 3), ("SEEKS", 4)):
            monkeypatch.setattr(api.conversation_order, name, bound)
        for module in (api.conversation_order, infra.redis.recent, infra.redis.ring):
            monkeypatch.setattr(module, "MOST_RECENT", 3)
    run_model(opened_stores(settings_for(engines, unique)), 25, Model)


@pytest.fixture
async def town(engines, unique):
    async with opened_stores(settings_for(engines, unique)) as stores:
        yield InboxTown(stores)


async def grown(town: InboxTown, groups: int, rounds: int = 1) -> list[ConversationId]:
    """Groups with messages in turn."""
    made = [await town.found() for _ in range(groups)]
    for _ in range(rounds):
        for conversation in made:
            await town.send(conversation)
    return made


def names(page: OrderPage) -> list[ConversationId]:
    return [one.conversation_id for one in page.listed]


class OnlySeeks(ActivityStore):
    """Nothing but the conversations of the page may be looked at."""

    async def window(self, user, below, count):
        raise AssertionError("lines were read")

    async def census(self, user, horizon, below, below_empty, limit):
        raise AssertionError("all conversations were looked at")


async def test_first_page_leaves_behind_what_the_next_first_page_needs(town):
    made = await grown(town, 6)
    assert await town.recent.read(town.user) is None
    first = await town.order.page(town.user, None, 3)
    assert await town.recent.read(town.user) == Known(0, 6, {c: at for at, c in enumerate(made, 1)})
    quick = ConversationOrder(
        OnlySeeks(town.stores.database), town.stores.timelines, town.stores.conversations, town.recent
    )
    assert await quick.page(town.user, None, 3) == first
    await town.send(made[0])
    assert names(await quick.page(town.user, None, 2)) == [made[0], made[5]]


async def test_set_that_missed_entries_is_repaired_by_a_reader(town):
    """Inbox was killed between the timeline and the ring."""
    one, *others = await grown(town, 4)
    await town.order.page(town.user, None, 1)
    await town.send(one, dies=True)
    assert (await town.recent.read(town.user)).upto == 4
    assert names(await town.order.page(town.user, None, 1)) == [one]
    places = {c: at for at, c in enumerate(others, 2)}
    assert await town.recent.read(town.user) == Known(0, 5, {one: 5, **places})
    await town.send(others[0])
    assert await town.recent.read(town.user) == Known(0, 6, {one: 5, **places, others[0]: 6})


async def test_set_that_missed_too_much_counts_as_lost(town, monkeypatch):
    monkeypatch.setattr(api.conversation_order, "MISSED_LINES", 2)
    one, other = await grown(town, 2)
    await town.order.page(town.user, None, 1)
    for _ in range(3):
        await town.send(one, dies=True)
    assert names(await town.order.page(town.user, None, 1)) == [one]
    assert await town.recent.read(town.user) == Known(0, 5, {one: 5, other: 2})


async def test_conversations_that_only_changed_stand_behind_newer_messages(town):
    """Their newest lines are the newest of all, so they are looked up first."""
    one, other, third = await grown(town, 3)
    await town.send(one, "edit")
    await town.send(other, "edit")
    assert names(await town.order.page(town.user, None, 1)) == [third]
    await town.evict()
    assert names(await town.order.page(town.user, None, 2)) == [third, other]


async def test_conversation_with_most_of_the_lines_hides_no_other(town, monkeypatch):
    """The windows end before the others, and the census finds them."""
    monkeypatch.setattr(api.conversation_order, "WINDOWS", (2, 2))
    others = await grown(town, 4)
    busy = await town.found()
    for _ in range(9):
        await town.send(busy)
    page = await town.order.page(town.user, None, 3)
    assert names(page) == [busy, others[3], others[2]]
    await town.evict()
    monkeypatch.setattr(api.conversation_order, "FEW", 1)
    assert await town.order.page(town.user, None, 3) == page


async def test_user_without_conversations_has_an_empty_page(town):
    assert await town.order.page(town.user, None, 3) == ([], None, 0)


async def test_cursor_of_another_time_is_taken_as_far_as_it_goes(town):
    """Somebody made it up: its numbers lie beyond the inbox."""
    made = await grown(town, 3)
    assert names(await town.order.page(town.user, f"{10**16 - 1}.{10**16 - 1}", 9)) == made[::-1]
    assert names(await town.order.page(town.user, "2.999", 2)) == [made[1], made[0]]
