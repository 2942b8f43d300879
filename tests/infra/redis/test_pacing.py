"""How often a user may signal in a conversation."""

from __future__ import annotations

import asyncio

import pytest

from infra.redis.pacing import Pacing
from tests.builders import until


@pytest.fixture
def pacing(client, keys):
    return Pacing(client, keys, 60)


async def test_one_of_many_at_once_is_admitted_whichever_gateway_asks(pacing, client, keys):
    other = Pacing(client, keys, 60)
    answers = await asyncio.gather(*(one.take("ann", "g:x") for one in (pacing, other) * 5))
    assert sum(first for first, _ in answers) == 1


async def test_users_and_conversations_do_not_hinder_each_other(pacing):
    for user, conversation in [("ann", "g:x"), ("bob", "g:x"), ("ann", "g:y")]:
        assert await pacing.take(user, conversation) == (True, 0)
    assert await pacing.take("ann", "g:x") == (False, 0)


async def test_next_one_is_admitted_when_the_time_is_over(client, keys):
    pacing = Pacing(client, keys, 0.05)
    assert (await pacing.take("ann", "g:x"))[0]

    async def again() -> bool:
        return (await pacing.take("ann", "g:x"))[0]

    await until(again)


async def test_version_of_the_member_list_comes_with_the_answer(pacing, client, keys):
    await client.hset(keys.counter("g:x"), "v", 7)
    assert await pacing.take("ann", "g:x") == (True, 7)
