"""A group that has members has an owner who is one of them, whoever leaves at the same time."""

from __future__ import annotations

import asyncio
import random

import pytest

from domain.conversations import Members
from domain.errors import Conflict, Forbidden, NotFound, Unavailable
from producers.wiring import send_path
from tests.builders import ANN, BOB, CEM, DEA, add_users, draft

GROUPS = 15


async def insist(call, *arguments: object) -> None:
    """Do it, and do it again while the members are being changed by others."""
    while True:
        try:
            await call(*arguments)
            return
        except (Unavailable, Conflict):
            await asyncio.sleep(0)


async def stored(town, group: str) -> Members:
    """The list as the store has it. Nobody mends it by reading it so."""
    members = await town.stores.conversations.members(group)
    assert members is not None
    return members


async def test_owner_and_heir_who_leave_at_once_leave_an_owner_behind(town):
    """Through two processes, each of which saw both of them when it began."""
    groups = [await town.group(ANN, BOB, CEM, DEA) for _ in range(GROUPS)]
    one, other = town.path.groups, (await send_path(town.clients)).groups
    leaves = [
        insist(path.remove, user, group, user)
        for group in groups
        for path, user in ((one, ANN), (other, BOB))
    ]
    await asyncio.gather(*leaves)
    for group in groups:
        members = await stored(town, group)
        assert {member.user_id for member in members.present} == {CEM, DEA}
        assert members.owner == CEM


@pytest.mark.parametrize("seed", range(3))
async def test_group_has_an_owner_after_any_leaves_and_removals_at_once(town, seed):
    rng = random.Random(seed)
    users = [f"u{number}" for number in range(8)]
    await add_users(town.stores, *users)
    paths = [town.path, *[await send_path(town.clients) for _ in range(2)]]
    groups = [await town.group(*rng.sample(users, 6)) for _ in range(GROUPS)]

    async def live(group: str, user: str, rng: random.Random) -> None:
        for _ in range(2):
            service = rng.choice(paths).groups
            try:
                members = (await service.view(user, group))[1]
                assert members.owner is not None
                assert members.has(members.owner) or not members.present
                match rng.randrange(3):
                    case 0:
                        await service.remove(user, group, user)
                    case 1:
                        await service.remove(user, group, rng.choice(users))
                    case _:
                        await service.add(user, group, rng.choice(users))
            except (Forbidden, NotFound, Unavailable, Conflict):
                continue

    lives = [live(group, user, random.Random(f"{seed} {group} {user}")) for group in groups for user in users]
    await asyncio.gather(*lives)
    for group in groups:
        anyone = next(iter((await stored(town, group)).by_user))
        members = (await town.path.groups.view(anyone, group))[1]
        assert not members.present or members.has(members.owner)
        assert (await stored(town, group)).owner == members.owner


async def test_group_left_without_an_owner_gets_one_from_whoever_looks_at_it(town):
    """As a process that died after the owner's leave left it."""
    group = await town.group(ANN, BOB, CEM)
    assert await town.stores.conversations.begin(group, ANN, join=False)
    await town.path.membership.newest(group)
    assert not (await stored(town, group)).has(ANN)
    assert (await stored(town, group)).owner == ANN
    assert (await town.path.groups.view(CEM, group))[1].owner == BOB
    assert (await stored(town, group)).owner == BOB


async def test_owner_who_comes_back_after_the_hand_over_is_a_member_like_others(town):
    groups = town.path.groups
    group = await town.group(ANN, BOB)
    await groups.remove(ANN, group, ANN)
    await town.send(draft(group, BOB))
    await groups.add(BOB, group, ANN)
    with pytest.raises(Forbidden):
        await groups.remove(ANN, group, BOB)
    assert (await groups.view(ANN, group))[1].owner == BOB


async def test_group_that_everybody_left_at_once_can_still_be_read(town):
    groups = town.path.groups
    group = await town.group(ANN, BOB)
    await asyncio.gather(*(insist(groups.remove, user, group, user) for user in (ANN, BOB)))
    assert (await groups.view(ANN, group))[1].present == []
