from __future__ import annotations

import asyncio

import pytest

from infra.mongo.outbox import OutboxStore, Row
from tests.builders import until

LONG_S = 600


@pytest.fixture
def store(database):
    return OutboxStore(database)


def row(name: str) -> Row:
    return Row(name, 1000, [("d:ann:bob", 1), ("d:ann:cem", 2)])


async def test_row_of_a_live_owner_is_not_adopted(store):
    await store.renew_lease("live", LONG_S)
    await store.add("live", row("r1"))
    assert await store.adopt("relay", 10) == []
    assert await store.count() == 1


async def test_row_of_an_owner_without_a_lease_is_adopted_whole(store):
    await store.add("dead", row("r1"))
    assert await store.adopt("relay", 10) == [row("r1")]


async def test_row_is_adopted_once_the_lease_ran_out(store):
    await store.renew_lease("slow", 0.2)
    await store.add("slow", row("r1"))
    await store.renew_lease("relay", LONG_S)
    assert await until(lambda: store.adopt("relay", 10)) == [row("r1")]


async def test_renewed_lease_holds(store):
    await store.renew_lease("live", 0.001)
    await store.renew_lease("live", LONG_S)
    await store.add("live", row("r1"))
    assert await store.adopt("relay", 10) == []


async def test_ended_lease_leaves_the_rows_at_once(store):
    await store.renew_lease("gone", LONG_S)
    await store.add("gone", row("r1"))
    await store.end_lease("gone")
    assert await store.adopt("relay", 10) == [row("r1")]


async def test_row_given_up_by_a_live_owner_is_adopted(store):
    await store.renew_lease("live", LONG_S)
    await store.add("live", row("r1"))
    await store.add("live", row("r2"))
    await store.give_up(["r2", "never-written"])
    assert await store.adopt("relay", 10) == [row("r2")]


async def test_adopted_row_stays_with_its_live_adopter(store):
    await store.renew_lease("relay", LONG_S)
    await store.add("dead", row("r1"))
    await store.adopt("relay", 10)
    assert await store.adopt("other", 10) == []


@pytest.mark.parametrize("adopter", ["~one", "~other"])
async def test_row_of_a_relay_is_adopted_again_until_it_is_marked_as_spread(store, adopter):
    """Its first adoption may not have been answered."""
    for relay in ("~one", "~other"):
        await store.renew_lease(relay, LONG_S)
    await store.add("dead", row("r1"))
    assert await store.adopt("~one", 10) == [row("r1")]
    assert await store.adopt(adopter, 10) == [row("r1")]
    await store.mark_spread(adopter, ["r1"])
    assert await store.adopt(adopter, 10) == []


async def test_concurrent_adopters_share_no_row_and_miss_none(store):
    adopters = ["a", "b", "c"]
    for adopter in adopters:
        await store.renew_lease(adopter, LONG_S)
    for number in range(30):
        await store.add("dead" if number % 2 else "", row(f"r{number:02}"))
    got = await asyncio.gather(*(store.adopt(adopter, 30) for adopter in adopters))
    names = [one.row_id for rows in got for one in rows]
    assert sorted(names) == [f"r{number:02}" for number in range(30)]


async def test_adopter_takes_the_oldest_up_to_its_limit(store):
    for name in ("r3", "r1", "r2"):
        await store.add("dead", row(name))
    assert [one.row_id for one in await store.adopt("relay", 2)] == ["r1", "r2"]


async def test_removed_rows_are_gone(store):
    for name in ("r1", "r2", "r3"):
        await store.add("dead", row(name))
    await store.remove(["r1", "r3", "never-written"])
    assert [one.row_id for one in await store.adopt("relay", 9)] == ["r2"]


async def test_only_leases_that_ran_out_are_forgotten(store):
    await store.renew_lease("live", LONG_S)
    await store.renew_lease("dead", 0.001)
    await store.forget_publishers()
    await store.add("live", row("r1"))
    assert await store.adopt("relay", 9) == []
