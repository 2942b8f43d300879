from __future__ import annotations

import asyncio

import pymongo
import pytest

from domain.devices import Device, User
from domain.presence import Regard
from infra.mongo.accounts import AccountStore, Profile


@pytest.fixture
def store(database):
    return AccountStore(database)


async def test_user_keeps_name_and_birth_when_put_again(store):
    assert await store.put_user("ann", "Ann", 1000) == User("ann", "Ann", 1000)
    assert await store.put_user("ann", None, 2000) == User("ann", "Ann", 1000)
    assert await store.put_user("ann", "Anna", 3000) == User("ann", "Anna", 1000)


async def test_user_may_have_no_name(store):
    assert await store.put_user("ann", None, 1) == User("ann", None, 1)


async def test_user_put_concurrently_is_one_user(store):
    users = await asyncio.gather(*(store.put_user("ann", None, at) for at in range(1, 9)))
    assert len(set(users)) == 1


async def test_unknown_users_are_named(store):
    await store.put_user("ann", None, 1)
    assert await store.unknown(["ann", "bob", "cem", "bob"]) == {"bob", "cem"}
    assert await store.unknown([]) == set()


async def test_names_of_users_that_exist_are_given(store):
    await store.put_user("ann", "Ann", 1)
    await store.put_user("bob", None, 1)
    assert await store.names(["ann", "bob", "cem", "ann"]) == {"ann": "Ann", "bob": None}
    assert await store.names([]) == {}


async def test_names_of_many_users_cost_one_query_that_looks_at_no_other(store, engines, unique):
    for number in range(50):
        await store.put_user(f"u{number}", f"User {number}", 1)
    with pymongo.MongoClient(engines.mongo_url) as client:
        database = client[unique]
        database.command("profile", 2)
        assert len(await store.names([f"u{number}" for number in range(20)])) == 20
        database.command("profile", 0)
        (query,) = database["system.profile"].find({"op": "query", "ns": f"{unique}.users"})
    assert query["docsExamined"] == 20


async def test_cursor_of_a_device_moves_only_forward(store):
    await store.put_device(Device("ann", "phone"), 1)
    assert await store.acknowledge("ann", "phone", 7) == 7
    assert await store.acknowledge("ann", "phone", 3) == 7
    assert await store.cursor("ann", "phone") == 7


async def test_devices_have_their_own_cursors(store):
    """I10: none holds another back."""
    await store.acknowledge("ann", "phone", 7)
    await store.acknowledge("ann", "web", 2)
    assert [await store.cursor("ann", device) for device in ("phone", "web", "new")] == [7, 2, 0]
    assert await store.cursor("bob", "phone") == 0


async def test_new_token_for_a_device_keeps_its_cursor(store):
    await store.acknowledge("ann", "phone", 7)
    await store.put_device(Device("ann", "phone", "mobile"), 2)
    assert await store.cursor("ann", "phone") == 7


async def test_concurrent_acknowledgements_end_at_the_highest(store):
    await asyncio.gather(*(store.acknowledge("ann", "phone", cursor) for cursor in range(20)))
    assert await store.cursor("ann", "phone") == 19


async def test_user_shows_to_everyone_until_they_choose(store):
    assert await store.profile("ann") is None
    assert await store.choose_audience("ann", "nobody") is None
    await store.put_user("ann", "Ann", 1)
    assert await store.profile("ann") == Profile("Ann", "everyone")
    assert await store.choose_audience("ann", "contacts") == Profile("Ann", "contacts")
    assert await store.profile("ann") == Profile("Ann", "contacts")
    assert await store.put_user("ann", "Anna", 2) == User("ann", "Anna", 1)
    assert await store.profile("ann") == Profile("Anna", "contacts")


async def test_time_at_which_a_user_was_seen_moves_only_forward_and_makes_no_user(store):
    await store.put_user("ann", None, 1)
    await store.put_user("bob", None, 1)
    await store.choose_audience("bob", "nobody")
    await store.put_seen({"ann": 500, "cem": 500})
    await store.put_seen({"ann": 300, "bob": 400})
    assert await store.regards(["ann", "bob", "cem", "ann"]) == {
        "ann": Regard("everyone", 500),
        "bob": Regard("nobody", 400),
    }
    assert await store.unknown(["cem"]) == {"cem"}
    assert await store.regards([]) == {}
