from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from functools import partial
from importlib import import_module

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener

from domain.errors import Unavailable
from infra.breaker import Breaker
from infra.local.stack import LocalEngines
from infra.mongo.client import Collection, open_database
from infra.mongo.indexes import CLUSTERED, INDEXES, PLAIN, ensure_schema, missing_indexes
from infra.mongo.messages import MessageStore
from infra.settings import SettingsError
from tests.builders import opened_database, settings_for, stored, until
from tests.engines import Engines
from tests.patience import PATIENCE_S

WRITES = {"insert", "update", "findAndModify", "delete"}


async def test_schema_is_complete(database):
    assert await missing_indexes(database) == []
    assert set(await database.collection_names()) == {*CLUSTERED, *PLAIN}


async def test_schema_may_be_made_again_and_by_many_at_once(database):
    await database.drop()
    assert {index.name for index in await missing_indexes(database)} == {index.name for index in INDEXES}
    await asyncio.gather(*(ensure_schema(database) for _ in range(6)))
    assert await missing_indexes(database) == []


async def test_schema_made_again_keeps_the_data(database):
    await MessageStore(database).insert([stored("d:ann:bob", 1)])
    await ensure_schema(database)
    assert await MessageStore(database).last("d:ann:bob") == 1


def test_every_index_says_which_promise_it_keeps():
    assert all(index.promise for index in INDEXES)


async def test_server_says_version_and_topology(database):
    assert (await database.ping()).split(".")[0].isdigit()
    assert (await database.topology()).startswith(("replica set", "sharded"))


class Refusing:
    """The driver's collection, of a server that refuses with this code."""

    def __init__(self, code: int) -> None:
        self._code = code

    async def insert_many(self, _documents, *, ordered):
        raise OperationFailure("refused", self._code)


@pytest.mark.parametrize("code, nothing_done", [(13, True), (18, False)])
async def test_write_that_ends_with_a_refused_sign_in_may_have_been_done(code, nothing_done):
    """The driver may have tried it before, on a connection that was cut off. Later writes are not tried."""

    async def stays_away() -> None:
        raise Unavailable("no")

    breaker = Breaker("mongo", stays_away)
    collection = Collection(Refusing(code), breaker)
    for done_nothing in (nothing_done, True):
        with pytest.raises(Unavailable) as refused:
            await collection.insert_many([{"_id": 1}], ordered=True)
        assert refused.value.nothing_done == done_nothing
    await breaker.aclose()


class Commands(CommandListener):
    """What the driver sent to the server."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict]] = []

    def started(self, event):
        self.sent.append((event.command_name, dict(event.command)))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


async def test_every_write_is_by_majority_and_journaled_and_every_read_sees_only_such(
    engines, unique, driver, monkeypatch
):
    """I1, by each verb that the stores have."""
    commands = Commands()
    for module, name in (
        ("infra.mongo.client", "AsyncMongoClient"),
        ("motor.motor_asyncio", "AsyncIOMotorClient"),
    ):
        client = getattr(import_module(module), name)
        monkeypatch.setattr(f"{module}.{name}", partial(client, event_listeners=[commands]))
    async with opened_database(settings_for(engines, unique, mongo={"driver": driver})) as database:
        commands.sent.clear()
        some = database.collection("users")
        await some.insert({"_id": 1})
        await some.insert_many([{"_id": 2}, {"_id": 3}], ordered=True)
        await some.insert_many([{"_id": 4}], ordered=False)
        await some.update({"_id": 1}, {"$set": {"a": 1}})
        await some.update_many({}, {"$set": {"a": 2}})
        await some.find_and_update({"_id": 5}, {"$set": {"a": 3}}, upsert=True)
        await some.delete_many({"_id": 2})
        await some.find({})
        await some.find_any_order({})
        await some.find_one({})
        await some.find_each([1], ["a"])
        await some.count({})
        sent = list(commands.sent)
    writes = [(name, c["writeConcern"]) for name, c in sent if name in WRITES]
    assert [name for name, _ in writes] == [*["insert"] * 3, *["update"] * 2, "findAndModify", "delete"]
    assert all(concern == {"w": "majority", "j": True} for _, concern in writes)
    reads = [(name, c["readConcern"]["level"]) for name, c in sent if name not in WRITES]
    assert reads == [*[("find", "majority")] * 3, *[("aggregate", "majority")] * 2]


async def test_ids_that_are_looked_up_are_values_and_no_expressions(database):
    some = database.collection("users")
    ids = ["$_id", "$$ROOT", {"c": "$a", "q": 1}]
    await some.insert_many([{"_id": one, "a": "b", "more": 1} for one in ids], ordered=True)
    found = await some.find_each([*ids, "b"], ["a"])
    assert sorted(found, key=str) == sorted(({"_id": one, "a": "b"} for one in ids), key=str)
    assert await some.find_each([], ["a"]) == []


@pytest.fixture
def collected():
    """A driver that is closed while it connects leaves the socket to the collector, which warns of it."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.usefixtures("collected")
async def test_store_that_is_not_there_is_unavailable(engines, unique, driver):
    """I7: fails fast, and says that it may work later."""
    with socket.socket() as bound:  # bound, never listening: nobody answers there
        bound.bind(("127.0.0.1", 0))
        url = f"mongodb://127.0.0.1:{bound.getsockname()[1]}/?directConnection=true"
        made = settings_for(engines, unique, mongo={"url": url, "driver": driver, "timeout_s": 0.2})
        async with open_database(made.mongo) as database:
            store = MessageStore(database)
            for verb in (store.last("d:ann:bob"), store.insert([stored("d:ann:bob", 1)]), database.ping()):
                with pytest.raises(Unavailable):
                    await verb


@pytest.mark.parametrize(
    "options", ["?tls=maybe", "?tlsCAFile=/nowhere/ca.pem", "?replicaset_=rs0", "?authMechanism=NO"]
)
async def test_bad_option_in_the_url_is_named_as_a_setting(engines, unique, options, driver):
    made = settings_for(engines, unique, mongo={"url": f"mongodb://h/{options}", "driver": driver})
    with pytest.raises(SettingsError, match="RINGPOST_MONGO_URL"):
        async with open_database(made.mongo):
            pass


async def answers(database) -> bool:
    try:
        return await MessageStore(database).last("d:ann:bob") == 0
    except Unavailable:
        return False


@pytest.mark.own_engines
async def test_nobody_waits_for_a_store_that_is_known_not_to_answer(unique, driver, tmp_path):
    """One time-out for all that wait already, none for those that come later, and over when it is back.

    Many wait with a short time-out, for Motor has them wait ten at a time. Many are answered within a long
    one, for the machine may be busy.
    """

    def settings(timeout_s):
        return settings_for(
            Engines(local.url("mongo"), "", ""), unique, mongo={"driver": driver, "timeout_s": timeout_s}
        ).mongo

    async def silent(database):
        return not await answers(database)

    async def refused(database, waiting):
        assert not any(await asyncio.gather(*(answers(database) for _ in range(waiting))))
        for _ in range(1_000):
            assert not await answers(database)

    async with (
        LocalEngines(tmp_path, which=("mongo",)) as local,
        opened_database(settings_for(Engines(local.url("mongo"), "", ""), unique)),
        open_database(settings(0.2)) as watching,
        open_database(settings(3)) as hasty,
        open_database(settings(15)) as patient,
    ):
        for database in (watching, hasty, patient):
            assert await until(lambda it=database: answers(it))
        os.kill(local.pid("mongo"), signal.SIGSTOP)
        try:
            await until(lambda: silent(watching))  # a signal is not obeyed at once
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(refused(patient, 1), refused(hasty, 50))
        finally:
            os.kill(local.pid("mongo"), signal.SIGCONT)
        await until(lambda: answers(hasty))
        await until(lambda: answers(patient))
        assert all(await asyncio.gather(*(answers(patient) for _ in range(50))))


async def test_read_of_which_the_store_has_lost_the_cursor_may_be_tried_again(database, engines, unique):
    """As after a restart between two batches."""
    things = database.collection("things")
    for first in range(0, 300, 100):
        rows = [{"_id": number, "text": "x" * 100_000} for number in range(first, first + 100)]
        assert await things.insert_many(rows, ordered=True) == []
    async with AsyncMongoClient(engines.mongo_url) as beside, asyncio.timeout(PATIENCE_S):
        with pytest.raises(Unavailable):
            await _read_again_and_again(things, beside, f"{unique}.things")


async def _read_again_and_again(things: Collection, beside: AsyncMongoClient, namespace: str) -> None:
    """Until a read fails because its cursor is lost."""
    while True:
        reading = asyncio.create_task(things.find_any_order({}))
        while not reading.done():
            await _lose_cursors(beside, namespace)
        await reading


async def _lose_cursors(beside: AsyncMongoClient, namespace: str) -> None:
    idle = [{"$currentOp": {"idleCursors": True}}, {"$match": {"type": "idleCursor", "ns": namespace}}]
    found = await (await beside.admin.aggregate(idle)).to_list()
    database, _, collection = namespace.partition(".")
    for one in found:
        await beside[database].command("killCursors", collection, cursors=[one["cursor"]["cursorId"]])
