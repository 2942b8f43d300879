from __future__ import annotations

import pytest

from domain.errors import Unavailable
from infra.mongo.client import Collection
from infra.mongo.messages import MessageStore
from infra.mongo.outbox import OutboxStore
from infra.mongo.rows import ROWS, Row, RowId, ranges_of
from tests.builders import stored, until

LONG_S = 600
PLACES = [("d:ann:bob", 1), ("d:ann:cem", 2)]


@pytest.fixture
def store(database):
    return OutboxStore(database)


@pytest.fixture
def write(database):
    """Writes rows of a process, with these numbers."""

    async def rows(writer: str, *numbers: int) -> list[Row]:
        written = [Row(RowId(writer, number), 1000, PLACES) for number in numbers]
        for row in written:
            await MessageStore(database).insert([], row)
        return written

    return rows


async def adopted(store: OutboxStore, relay: str = "~relay", most: int = 10) -> list[Row]:
    return await store.adopt(relay, most, 1_000)


async def test_row_of_a_live_owner_is_not_adopted(store, write):
    await store.renew_lease("live", LONG_S)
    await write("live", 1)
    assert await adopted(store) == []
    assert await store.count() == 1


async def test_row_of_an_owner_without_a_lease_is_adopted_whole(store, write):
    rows = await write("dead", 1)
    assert await adopted(store) == rows


async def test_row_is_adopted_once_the_lease_ran_out(store, write):
    await store.renew_lease("slow", 0.2)
    rows = await write("slow", 1)
    assert await until(lambda: adopted(store)) == rows


async def test_renewed_lease_holds(store, write):
    await store.renew_lease("live", 0.001)
    await store.renew_lease("live", LONG_S)
    await write("live", 1)
    assert await adopted(store) == []


async def test_ended_lease_leaves_the_rows_at_once(store, write):
    await store.renew_lease("gone", LONG_S)
    rows = await write("gone", 1)
    await store.end_lease("gone")
    assert await adopted(store) == rows


async def test_row_given_up_by_a_live_owner_is_adopted(store, write):
    await store.renew_lease("live", LONG_S)
    _, second, *_ = await write("live", 1, 2, 3)
    await store.give_up([second.row_id, RowId("live", 99)])
    assert await adopted(store) == [second]


async def test_doubtful_row_that_was_never_written_is_adopted(store):
    """The write was not answered, and may still come."""
    await store.renew_lease("live", LONG_S)
    row = Row(RowId("live", 1), 1000, PLACES)
    await store.give_up((), [row])
    assert await adopted(store) == [row]


async def test_doubtful_row_announces_what_it_is_given_up_with(store, write):
    await store.renew_lease("live", LONG_S)
    (row,) = await write("live", 1)
    narrowed = row._replace(places=PLACES[:1])
    await store.give_up((), [narrowed])
    assert await adopted(store) == [narrowed]


async def test_insert_that_comes_after_its_row_was_given_up_stores_the_messages(database, store):
    """MongoDB was paused: it does the later write first."""
    await store.renew_lease("live", LONG_S)
    row = Row(RowId("live", 1), 1000, [("d:ann:bob", 1)])
    await store.give_up((), [row])
    messages = MessageStore(database)
    await messages.insert([stored("d:ann:bob", 1)], row)
    assert await messages.documents(row.places, ["_id"])
    assert await adopted(store) == [row]


async def test_adopted_row_stays_with_its_live_adopter(store, write):
    await store.renew_lease("~relay", LONG_S)
    (row,) = await write("dead", 1)
    await adopted(store)
    await store.mark_spread("~relay", [row.row_id])
    assert await adopted(store, "~other") == []


@pytest.mark.parametrize("adopter", ["~one", "~other"])
async def test_row_of_a_relay_is_adopted_again_until_it_is_marked_as_spread(store, write, adopter):
    """Its first adoption may not have been answered."""
    for relay in ("~one", "~other"):
        await store.renew_lease(relay, LONG_S)
    rows = await write("dead", 1)
    assert await adopted(store, "~one") == rows
    assert await adopted(store, adopter) == rows
    await store.mark_spread(adopter, [rows[0].row_id])
    assert await adopted(store, adopter) == []


async def test_adopter_takes_the_oldest_of_each_writer_up_to_its_limit(store, write):
    await write("dead", 3, 1, 2)
    await write("late", 1)
    for relay in ("~one", "~two"):
        await store.renew_lease(relay, LONG_S)
    first = await adopted(store, "~one", 2)
    assert [row.row_id for row in first] == [("dead", 1), ("dead", 2)]
    await store.mark_spread("~one", [row.row_id for row in first])
    assert [row.row_id for row in await adopted(store, "~two")] == [("dead", 3), ("late", 1)]


async def test_adopter_takes_no_further_row_once_it_has_its_messages(store, write):
    """Each row announces two."""
    await write("dead", 1, 2, 3)
    assert len(await store.adopt("~relay", 10, 3)) == 2


async def test_removed_rows_are_gone_and_no_others(store, write):
    await write("dead", 1, 2, 3, 5)
    await write("eva", 1)
    await store.remove([RowId("dead", number) for number in (1, 3, 4)])
    assert [row.row_id for row in await adopted(store)] == [("dead", 2), ("dead", 5), ("eva", 1)]


def test_rows_in_a_run_of_numbers_are_one_range():
    rows = [RowId("b", 7), RowId("a", 3), RowId("a", 2), RowId("a", 1), RowId("a", 5), RowId("a", 2)]
    assert [(one["_id"]["$gte"], one["_id"]["$lte"]) for one in ranges_of(rows)] == [
        ({"c": "!a", "q": 1}, {"c": "!a", "q": 3}),
        ({"c": "!a", "q": 5}, {"c": "!a", "q": 5}),
        ({"c": "!b", "q": 7}, {"c": "!b", "q": 7}),
    ]


async def test_sharded_cluster_gets_the_row_as_a_write_of_its_own_before_the_messages(database, monkeypatch):
    async def topology() -> str:
        return "sharded cluster"

    writes: list[str] = []

    def noting(name):
        write = getattr(Collection, name)

        async def noted(*given, **more):
            writes.append(name)
            return await write(*given, **more)

        monkeypatch.setattr(Collection, name, noted)

    noting("insert")
    noting("insert_many")
    monkeypatch.setattr(database, "topology", topology)
    messages = MessageStore(database)
    row = Row(RowId("live", 1), 1000, [("d:ann:bob", 1)])
    assert await messages.insert([stored("d:ann:bob", 1)], row) == []
    again = row._replace(row_id=RowId("live", 2))
    assert await messages.insert([stored("d:ann:bob", 1)], again) == [(0, True)]
    assert writes == ["insert", "insert_many"] * 2
    assert await OutboxStore(database).count() == 2


@pytest.mark.parametrize("topology", ["replica set", "sharded cluster"])
async def test_outage_between_the_row_and_its_messages_is_not_one_in_which_nothing_was_done(
    database, monkeypatch, topology
):
    async def is_sharded() -> bool:
        return topology == "sharded cluster"

    async def not_asked(*_given, **_more):
        raise Unavailable("known not to answer", nothing_done=True)

    monkeypatch.setattr(database, "is_sharded", is_sharded)
    monkeypatch.setattr(Collection, "insert_many", not_asked)
    row = Row(RowId("live", 1), 1000, [("d:ann:bob", 1)])
    with pytest.raises(Unavailable) as failed:
        await MessageStore(database).insert([stored("d:ann:bob", 1)], row)
    assert await OutboxStore(database).count() == (topology == "sharded cluster")
    assert failed.value.nothing_done == (topology == "replica set")


async def test_rows_of_version_0_1_0_are_taken_over_once(database, store):
    earlier = {"_id": "0000000001000.ab12.7", "o": "ab12", "at": 1000, "m": [["d:ann:bob", 1]], "k": 1}
    await database.collection("outbox").insert(earlier)
    assert [await store.take_earlier() for _ in range(2)] == [1, 0]
    assert [(row.at_ms, row.places) for row in await adopted(store)] == [(1000, [("d:ann:bob", 1)])]


async def test_only_leases_that_ran_out_are_forgotten(store, write):
    await store.renew_lease("live", LONG_S)
    await store.renew_lease("dead", 0.001)
    await store.forget_publishers()
    await write("live", 1)
    assert await adopted(store) == []


async def test_page_of_a_conversation_holds_no_row(database, write):
    """Rows stand before the first conversation."""
    await write("zoe", 1)
    found = await database.collection("messages").find({"_id": ROWS})
    assert [document["_id"] for document in found] == [{"c": "!zoe", "q": 1}]
    assert await MessageStore(database).last("a") == 0
