"""Nobody receives what was numbered before they joined or after they left, whoever computes it."""

from __future__ import annotations

import asyncio
import random

import pytest

from domain.errors import Forbidden, NotFound, TooLarge, Unavailable
from infra.mongo.messages import MessageStore
from infra.redis.client import open_redis
from producers.commit import Outcome
from producers.wiring import Clients, SendPath, send_path
from tests.builders import ANN, BOB, CEM, DEA, draft, forget_redis, mongo_reads, settings_for
from tests.producers.submitted import Noting


async def recipients(town, group: str) -> dict[int, set[str]]:
    """Of every stored message, as the relay would compute them now."""
    members = await (await send_path(town.clients)).membership.newest(group)
    page = await town.stores.messages.page(group, 0, 2**53 - 1, 0, newest=False)
    seqs = [document["_id"]["q"] for document in page]
    return {seq: {u for some in members.recipients(seq, 4).values() for u in some} for seq in seqs}


@pytest.fixture(autouse=True)
def noting(monkeypatch):
    """For every send path of these tests, so also for that of the town."""
    monkeypatch.setattr("producers.wiring.Spreader", Noting)


def submitted(path) -> dict[int, set[str]]:
    """As the send path computed them when it sent."""
    return {
        item.seq: {user for some in item.members.recipients(item.seq, 4).values() for user in some}
        for items in path.spreader.submitted
        for item in items
    }


async def test_change_through_another_process_is_seen_by_the_next_send(town):
    """The version that comes with the number proves the cached list fresh."""
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    other = await send_path(town.clients)
    await other.groups.add(ANN, group, CEM)
    await town.send(draft(group))
    assert submitted(town.path) == {1: {ANN, BOB}, 2: {ANN, BOB, CEM}}
    await other.groups.remove(ANN, group, BOB)
    await town.send(draft(group))
    assert submitted(town.path)[3] == {ANN, CEM}


async def test_who_was_removed_elsewhere_cannot_send(town):
    """The number decides, not the cached list."""
    group = await town.group(ANN, BOB)
    await town.send(draft(group, BOB))
    other = await send_path(town.clients)
    await other.groups.remove(ANN, group, BOB)
    with pytest.raises(Forbidden):
        await town.send(draft(group, BOB))


async def test_who_was_added_elsewhere_can_send(town):
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    await (await send_path(town.clients)).groups.add(ANN, group, CEM)
    assert (await town.send(draft(group, CEM))).created


async def test_who_came_back_has_both_stays_and_not_what_was_between(town):
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    await town.path.groups.remove(ANN, group, BOB)
    await town.send(draft(group))
    await town.path.groups.add(ANN, group, BOB)
    await town.send(draft(group))
    assert [BOB in users for users in (await recipients(town, group)).values()] == [True, False, True]


async def test_recipients_are_the_same_whoever_computes_them_and_whenever(town):
    """Joins and leaves of two users under concurrent sends of three processes."""
    group = await town.group(ANN, BOB)
    paths = [town.path, *[await send_path(town.clients) for _ in range(2)]]
    changing = True

    async def sends(path) -> None:
        while changing:
            sends = [path.sender.send(draft(group)) for _ in range(3)]
            for result in await asyncio.gather(*sends, return_exceptions=True):
                assert isinstance(result, Outcome | Unavailable)  # "the members change too fast"

    async def changes(user, chance: random.Random) -> None:
        for _ in range(6):
            groups = chance.choice(paths).groups
            await groups.add(ANN, group, user)
            await groups.remove(ANN, group, user)

    sending = [asyncio.create_task(sends(path)) for path in paths]
    await asyncio.gather(*(changes(user, random.Random(user)) for user in (CEM, DEA)))
    changing = False
    await asyncio.gather(*sending)
    computed: dict[int, set[str]] = {}
    for path in paths:
        computed |= submitted(path)
    everything = await recipients(town, group)
    assert computed == {seq: everything[seq] for seq in computed}
    assert {ANN, BOB} <= set.intersection(*computed.values())
    # What a path cannot compute while the members change too fast is left to the relay.
    for path in paths:
        await path.barrier.step()
    rows = await town.stores.outbox.adopt("~relay", 1_000, 10_000)
    assert computed.keys() | {seq for row in rows for _, seq in row.places} == everything.keys()


async def test_change_that_was_answered_holds_for_every_later_send(town):
    group = await town.group(ANN, BOB)
    paths = [town.path, await send_path(town.clients)]
    for turn in range(6):
        joins = turn % 2 == 0
        groups = paths[turn % 2].groups
        await (groups.add if joins else groups.remove)(ANN, group, CEM)
        outcomes = await asyncio.gather(*(path.sender.send(draft(group)) for path in paths))
        for outcome, path in zip(outcomes, paths, strict=True):
            assert (CEM in submitted(path)[outcome.sent.seq]) == joins


async def test_change_left_pending_by_a_dead_process_is_finished_by_the_next(town):
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    await town.stores.conversations.begin(group, CEM, join=True)
    members = await (await send_path(town.clients)).membership.newest(group)
    assert [members.holds(CEM, seq) for seq in (1, 2)] == [False, True]


async def test_counter_lost_after_a_join_does_not_hand_out_numbers_before_it(town):
    """I7: the floor in the store keeps later messages behind the join."""
    group = await town.group(ANN, BOB)
    await town.clients.redis.hset(town.stores.keys.counter(group), mapping={"q": 20, "v": 0})
    await town.path.groups.add(ANN, group, CEM)
    await town.clients.redis.delete(town.stores.keys.counter(group))
    outcome = await town.send(draft(group))
    assert outcome.sent.seq == 21
    assert CEM in submitted(town.path)[21]


async def test_owner_who_leaves_hands_over_to_the_longest_member(town):
    group = await town.group(ANN, BOB, CEM)
    await town.path.groups.remove(ANN, group, ANN)
    members = await town.path.membership.newest(group)
    assert (members.owner, [member.user_id for member in members.present]) == (BOB, [BOB, CEM])


async def test_only_the_owner_changes_members_but_anyone_may_leave(town):
    group = await town.group(ANN, BOB)
    for verb in (town.path.groups.add(BOB, group, CEM), town.path.groups.remove(BOB, group, ANN)):
        with pytest.raises(Forbidden):
            await verb
    await town.path.groups.remove(BOB, group, BOB)
    assert not (await town.path.membership.newest(group)).has(BOB)


async def test_unknown_user_cannot_be_added(town):
    group = await town.group(ANN)
    with pytest.raises(NotFound):
        await town.path.groups.add(ANN, group, "nobody")
    assert set((await town.path.membership.newest(group)).by_user) == {ANN}


async def test_group_has_a_bound(town):
    """I8."""
    many = [f"u{n}" for n in range(town.clients.settings.send.group_members)]
    with pytest.raises(TooLarge):
        await town.path.groups.create(ANN, None, many)


async def test_full_group_takes_nobody_until_someone_leaves(town):
    """I8."""
    settings = town.clients.settings.send
    town.clients.settings.send = settings.model_copy(update={"group_members": 2})
    groups = (await send_path(town.clients)).groups
    group = await town.group(ANN, BOB)
    with pytest.raises(TooLarge):
        await groups.add(ANN, group, CEM)
    await groups.remove(ANN, group, BOB)
    await groups.add(ANN, group, CEM)
    members = await town.path.membership.newest(group)
    assert [user for user in (ANN, BOB, CEM) if members.has(user)] == [ANN, CEM]


async def test_adding_twice_at_once_is_one_stay(town):
    group = await town.group(ANN)
    paths = [town.path, await send_path(town.clients)]
    await asyncio.gather(*(path.groups.add(ANN, group, BOB) for path in paths * 3))
    assert len((await town.path.membership.newest(group)).by_user[BOB].windows) == 1


@pytest.mark.parametrize("bound, most", [("CACHED_LISTS", 2), ("CACHED_MEMBERS", 5)])
async def test_only_so_many_lists_are_remembered(town, monkeypatch, engines, unique, bound, most):
    """I8, by lists and by members. A conversation whose list was forgotten is read again."""
    monkeypatch.setattr(f"producers.membership.{bound}", most)
    groups = [await town.group(ANN, BOB) for _ in range(4)]
    membership = town.path.membership

    async def reads(asked: list[str]) -> int:
        before = mongo_reads(engines.mongo_url, unique)
        for group in asked:
            assert (await membership.at(group, 0)).has(BOB)
        return (mongo_reads(engines.mongo_url, unique) - before)["members"]

    assert await reads(groups) == 4
    assert await reads(groups[2:] * 3) == 0
    assert await reads([*groups, *groups]) == 8


class Interrupted(MessageStore):
    """The real store. Something happens after the messages of a commit have their numbers."""

    def __init__(self, database, meanwhile) -> None:
        super().__init__(database)
        self._meanwhile = meanwhile

    async def insert(self, messages, row=None):
        await self._meanwhile()
        return await super().insert(messages, row)


async def interrupted(clients: Clients, meanwhile) -> SendPath:
    """A send path whose commits are interrupted by this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producers.wiring.MessageStore", lambda database: Interrupted(database, meanwhile))
        return await send_path(clients)


async def test_change_given_a_number_in_flight_by_a_lost_counter_has_the_message_or_not_everywhere(town):
    """I7: the counter is lost between number and store, and made anew by a change of members."""
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    other = await send_path(town.clients)

    async def meanwhile() -> None:
        await forget_redis(town.clients.redis, town.clients.settings)
        await other.groups.add(ANN, group, CEM)
        await other.groups.remove(ANN, group, BOB)

    path = await interrupted(town.clients, meanwhile)
    await asyncio.gather(*(path.sender.send(draft(group)) for _ in range(3)))
    assert submitted(town.path) | submitted(path) == await recipients(town, group)


async def test_change_by_a_process_with_redis_during_a_send_without(town, engines, unique):
    """I7: the number was guessed from the store."""
    group = await town.group(ANN, BOB)
    await town.send(draft(group))
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.2})
    async with open_redis(away.redis) as client:
        clients = town.clients._replace(settings=away, redis=client)
        path = await interrupted(clients, lambda: town.path.groups.add(ANN, group, CEM))
        await path.membership.newest(group)
        await path.sender.send(draft(group))
    assert submitted(town.path) | submitted(path) == await recipients(town, group)
