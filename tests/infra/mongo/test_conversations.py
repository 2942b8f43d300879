from __future__ import annotations

import asyncio

import pytest

from domain.conversations import ALWAYS, Window
from infra.mongo.conversations import ConversationStore, PendingChange
from tests.builders import GROUP, conversation

OTHER = "g:bbbbbbbbbbbbbbbb"


@pytest.fixture
async def store(database):
    """With a group of Ann and Bob."""
    store = ConversationStore(database)
    await store.create(conversation(GROUP, "tea"), ["ann", "bob"])
    return store


async def change(store, user: str, from_seq: int, *, join: bool) -> None:
    assert await store.begin(GROUP, user, join=join)
    await store.raise_version(GROUP)
    await store.finish(GROUP, await store.pending(GROUP), from_seq)


async def windows(store, user: str) -> tuple[Window, ...]:
    return (await store.members(GROUP)).by_user[user].windows


async def test_conversation_is_created_once(store):
    assert not await store.create(conversation(GROUP, "coffee"), ["ann"])
    assert (await store.get(GROUP)).title == "tea"


async def test_of_concurrent_creators_one_creates(store):
    both = ["ann", "cem"]
    made = conversation("d:ann:cem")
    created = await asyncio.gather(*(store.create(made, both) for _ in range(6)))
    assert sorted(created) == [False] * 5 + [True]
    assert set((await store.members("d:ann:cem")).by_user) == {"ann", "cem"}


async def test_first_members_are_in_from_the_first_message(store):
    members = await store.members(GROUP)
    assert members.version == 0
    assert {user: m.windows for user, m in members.by_user.items()} == {"ann": ALWAYS, "bob": ALWAYS}


async def test_unknown_conversation_has_no_members(store):
    assert await store.members("g:zzzzzzzzzzzzzzzz") is None
    assert await store.get("g:zzzzzzzzzzzzzzzz") is None


async def test_members_of_neighbouring_conversations_do_not_leak(store):
    for name in ("d:ann:bo", "d:ann:bobb"):
        await store.create(conversation(name), [f"of-{name[6:]}"])
    await store.create(conversation("d:ann:bob"), ["ann"])
    assert set((await store.members("d:ann:bob")).by_user) == {"ann"}


async def test_list_with_a_pending_change_is_not_used(store):
    await store.begin(GROUP, "cem", join=True)
    with pytest.raises(PendingChange):
        await store.members(GROUP)


async def test_joined_member_has_what_comes_from_the_seq_of_the_join_on(store):
    await change(store, "cem", 7, join=True)
    assert await windows(store, "cem") == (Window(7),)


async def test_who_left_and_came_back_has_two_stays(store):
    await change(store, "bob", 5, join=False)
    assert await windows(store, "bob") == (Window(1, 5),)
    await change(store, "bob", 9, join=True)
    assert await windows(store, "bob") == (Window(1, 5), Window(9))
    await change(store, "bob", 11, join=False)
    assert await windows(store, "bob") == (Window(1, 5), Window(9, 11))


@pytest.mark.parametrize("user, join", [("bob", True), ("cem", False)])
async def test_change_that_is_none_is_not_begun(store, user, join):
    assert not await store.begin(GROUP, user, join=join)
    assert (await store.members(GROUP)).version == 0


async def test_change_begun_twice_is_one_change(store):
    assert await asyncio.gather(*(store.begin(GROUP, "cem", join=True) for _ in range(5))) == [True] * 5
    await store.finish(GROUP, await store.pending(GROUP), 3)
    assert await windows(store, "cem") == (Window(3),)


async def test_of_concurrent_finishers_the_first_seq_stands(store):
    """Recipients are the same whoever computes them: a number once written is never changed."""
    await store.begin(GROUP, "cem", join=True)
    await store.begin(GROUP, "bob", join=False)
    pending = await store.pending(GROUP)
    await asyncio.gather(*(store.finish(GROUP, pending, seq) for seq in (4, 5, 6, 7)))
    first = await windows(store, "cem"), await windows(store, "bob")
    await store.finish(GROUP, pending, 3)
    assert (await windows(store, "cem"), await windows(store, "bob")) == first


async def test_late_finisher_leaves_changes_begun_after_it_alone(store):
    """Its seq was taken before they were begun; messages up to them may be spread to the members as
    they were."""
    await store.begin(GROUP, "cem", join=True)
    late = await store.pending(GROUP)
    await store.finish(GROUP, await store.pending(GROUP), 4)
    await store.begin(GROUP, "bob", join=False)
    await store.finish(GROUP, late, 2)
    with pytest.raises(PendingChange):
        await store.members(GROUP)
    await store.finish(GROUP, await store.pending(GROUP), 9)
    assert await windows(store, "bob") == (Window(1, 9),)
    assert await windows(store, "cem") == (Window(4),)


async def test_floor_remembers_the_highest_seq_of_a_change(store):
    """A counter restored from the store may not fall behind a join or leave."""
    await change(store, "cem", 7, join=True)
    await change(store, "bob", 5, join=False)
    assert await store.version_and_floor(GROUP) == (2, 6)


async def test_versions_count_up(store):
    assert await asyncio.gather(*(store.raise_version(GROUP) for _ in range(5))) != [1] * 5
    assert (await store.version_and_floor(GROUP))[0] == 5


async def test_parts_are_found_also_of_who_has_left(store):
    await store.create(conversation("d:ann:bob"), ["bob"])
    await change(store, "bob", 5, join=False)
    places = (GROUP, "bob"), ("d:ann:bob", "bob"), (GROUP, "who was never there")
    found = await store.parts(places)
    assert found[GROUP, "bob"].windows == (Window(1, 5),)
    assert found["d:ann:bob", "bob"].windows == ALWAYS


async def test_title_can_be_changed(store):
    await store.set_title(GROUP, None)
    assert (await store.get(GROUP)).title is None


async def test_many_conversations_are_read_at_once(store):
    await store.create(conversation("d:ann:bob"), ["ann"])
    found = await store.get_many([GROUP, "d:ann:bob", "d:ann:zoe"])
    assert {name: one.kind for name, one in found.items()} == {GROUP: "group", "d:ann:bob": "direct"}


async def owned_by(store, owner: str | None) -> None:
    await store.create(conversation(OTHER, owner=owner), ["ann", "bob", "cem"])


async def test_group_has_the_owner_that_took_it_over(store):
    await owned_by(store, "ann")
    members = await store.members(OTHER)
    assert members.owner == "ann"
    assert await store.take_over(members, "bob")
    assert (await store.members(OTHER)).owner == "bob"


async def test_of_those_who_take_over_at_once_one_does(store):
    await owned_by(store, "ann")
    members = await store.members(OTHER)
    heirs = ["bob", "cem"] * 4
    taken = await asyncio.gather(*(store.take_over(members, heir) for heir in heirs))
    winners = {heir for heir, won in zip(heirs, taken, strict=True) if won}
    assert winners == {(await store.members(OTHER)).owner}


async def test_group_is_not_taken_over_by_who_read_an_older_list(store):
    """The heir may have left in between."""
    await owned_by(store, "ann")
    members = await store.members(OTHER)
    await store.raise_version(OTHER)
    assert not await store.take_over(members, "bob")
    assert (await store.members(OTHER)).owner == "ann"


async def test_group_of_before_owners_stood_in_the_conversation_keeps_its_owner(store, database):
    """The owner was known by the role of a member."""
    ann = {"_id": {"c": GROUP, "u": "ann"}}
    assert await database.collection("members").update(ann, {"$set": {"r": "owner"}})
    members = await store.members(GROUP)
    assert members.owner == "ann"
    await change(store, "ann", 5, join=False)
    members = await store.members(GROUP)
    assert (members.owner, members.heir) == (None, "bob")
    assert await store.take_over(members, "bob")
    assert (await store.members(GROUP)).owner == "bob"
