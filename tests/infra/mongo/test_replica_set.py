from __future__ import annotations

import gc
import warnings

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from domain.errors import Unavailable
from infra.local.ports import free_port
from infra.local.program import Program
from infra.mongo.replica_set import ready_replica_set
from infra.settings import MongoSettings, SettingsError
from tests.clusters import MongoMember


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch):
    monkeypatch.delenv("RINGPOST_MONGO_URL", raising=False)


async def test_a_replica_set_that_is_one_already_is_left_as_it_is(engines):
    address = engines.mongo_url.split("//")[1].split("/")[0]
    for _ in range(2):
        assert await ready_replica_set(MongoSettings(url=engines.mongo_url)) == address


async def test_a_server_that_does_not_answer_is_waited_for_until_the_deadline():
    settings = MongoSettings(url=f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0", timeout_s=0.2)
    with pytest.raises(Unavailable):
        await ready_replica_set(settings, deadline_s=0.3)
    with (
        warnings.catch_warnings()
    ):  # a driver that is closed while it connects leaves its socket to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("url", ["", "mongodb://127.0.0.1:27017", "not a url"])
async def test_a_url_that_names_no_set_is_refused(url):
    with pytest.raises(SettingsError):
        await ready_replica_set(MongoSettings(url=url))


class LockedMongo(MongoMember):
    """A server that asks for a user, and has none yet."""

    async def prepare(self, program: Program) -> None:
        await super().prepare(program)
        key = self.folder / "keyfile"
        key.write_text("a" * 32)
        key.chmod(0o400)

    def settings(self) -> dict[str, str]:
        return super().settings() | {"keyFile": str(self.folder / "keyfile")}


@pytest.mark.own_engines
async def test_new_server_gets_its_users_and_lets_in_nobody_else(tmp_path):
    server = LockedMongo(tmp_path, print)
    await server.start()
    try:
        address = server.address

        def url(user: str, password: str) -> str:
            return f"mongodb://{user}:{password}@{address}/?replicaSet=rs0&authSource=admin"

        settings = MongoSettings(url=url("ringpost", "one"), database="messages")
        for _ in range(2):
            assert await ready_replica_set(settings, admin_password="secret") == address
        renewed = MongoSettings(url=url("ringpost", "two"), database="messages")
        await ready_replica_set(renewed, admin_password="secret")
        with pytest.raises(SettingsError, match="another password"):
            await ready_replica_set(renewed, admin_password="guess")
        assert await may_write(url("ringpost", "two"), "messages")
        assert not await may_write(url("ringpost", "two"), "others")
        assert not await may_write(url("ringpost", "one"), "messages")
        assert not await may_write(f"mongodb://{address}/?replicaSet=rs0", "messages")
        assert await may_write(url("admin", "secret"), "others")
    finally:
        await server.stop()


async def may_write(url: str, database: str) -> bool:
    async with AsyncMongoClient(url, serverMonitoringMode="poll") as client:
        try:
            await client[database].things.insert_one({})
        except OperationFailure as error:
            if error.code not in (13, 18):  # unauthorized, or the login failed
                raise
            return False
    return True
