"""The drill of docs/backup.md: back up under load, restore beside it, compare, and go on with the copy."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from domain.ids import ConversationId
from infra.local.stack import LocalEngines
from infra.mongo.rows import ROWS, Row, RowId, document_of, row_of
from infra.settings import MongoSettings
from ringpost.compare import examine_deep
from tests.builders import until
from tests.engines import Engines
from tests.patience import PATIENCE_S
from tests.system.parts import opened_parts
from tests.system.people import World, opened_world
from tests.system.test_failover import talk
from tests.system.test_whole import IMPATIENT, open_conversations

pytestmark = [pytest.mark.system, pytest.mark.own_engines]

PARTS = ("api", "inbox", "push", "relay")
USERS = 6
IN_TRAFFIC = 60
"""Messages acknowledged before the backup begins and after it ended."""


async def back_up(url: str, data: Path, copy: Path) -> None:
    """What was written before the call is in the copy. Writes wait until it is made."""
    async with AsyncMongoClient(url, serverMonitoringMode="poll") as client:
        await client.admin.command("fsync", lock=True)
        try:
            await asyncio.to_thread(shutil.copytree, data, copy)
        finally:
            await client.admin.command("fsyncUnlock")
    (copy / "mongod.lock").unlink()


def silent(text: str) -> None:
    pass


async def test_backup_under_load_is_whole_and_ringpost_goes_on_with_it(
    engines: Engines, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGPOST_MONGO_URL", raising=False)
    original, restored = tmp_path / "original", tmp_path / "restored"
    async with LocalEngines(original, which=["mongo"]) as mongo:
        served = engines._replace(mongo_url=mongo.url("mongo"))
        async with opened_parts(served, unique, tmp_path, **IMPATIENT) as parts:
            api, *_ = await parts.start(*PARTS)
            async with opened_world([api.url], seed=11, users=USERS) as world:
                await open_conversations(world, groups=3, directs=6)
                ended = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    group.create_task(talk(world, ended))
                    await world.until_acknowledged(IN_TRAFFIC)
                    before = {user: set(ids) for user, ids in world.sent.items()}
                    await back_up(
                        mongo.url("mongo"), original / "mongo" / "data", restored / "mongo" / "data"
                    )
                    await world.until_acknowledged(len(world.acknowledged) + IN_TRAFFIC)
                    ended.set()
                for user in world.users:
                    await world.settled(user)
                async with LocalEngines(restored, which=["mongo"]) as copy:
                    settings = MongoSettings(url=copy.url("mongo"), database=unique)
                    await compare(settings, mongo.url("mongo"))
                    await cut_off(settings)
                    again = engines._replace(mongo_url=copy.url("mongo"))
                    name = f"{unique}again"
                    async with opened_parts(
                        again, name, restored, RINGPOST_MONGO_DATABASE=unique, **IMPATIENT
                    ) as parts_again:
                        api, *_ = await parts_again.start(*PARTS)
                        world.urls = [api.url]
                        await go_on(settings, world, before)


async def compare(settings: MongoSettings, original: str) -> None:
    """The copy is whole, and a part of what went on beside it."""
    diagnosis, comparison = await examine_deep(settings, original, silent)
    assert diagnosis.ok, diagnosis
    assert comparison is not None
    assert comparison.ok, comparison
    assert comparison.messages.same >= IN_TRAFFIC
    assert comparison.messages.only_there >= IN_TRAFFIC
    assert comparison.entries.only_there >= IN_TRAFFIC
    assert comparison.messages.same == diagnosis.messages


async def cut_off(settings: MongoSettings) -> None:
    """The copy has a row and not its message, as if it had been made in the middle of a commit."""
    row = Row(RowId("gone", 1), 1, [(ConversationId("d:nobody:nowhere"), 1)])
    async with AsyncMongoClient(settings.url, serverMonitoringMode="poll") as client:
        await client[settings.database]["messages"].insert_one(document_of(row))


async def all_delivered(database: AsyncDatabase[dict[str, Any]]) -> bool:
    """Whether every stored message that a row announces is in the inbox of each member.

    The row itself may stay: if the backup cut a commit off, the relay waits an hour for the rest of it.
    """
    for document in await database["messages"].find({"_id": ROWS}).to_list():
        for conversation, seq in row_of(document).places:
            if await database["messages"].find_one({"_id": {"c": conversation, "q": seq}}):
                recipients = await database["members"].count_documents({"_id.c": conversation})
                entries = await database["timelines"].count_documents({"c": conversation, "q": seq})
                if entries < recipients:
                    return False
    return True


async def go_on(settings: MongoSettings, world: World, before: dict[str, set[str]]) -> None:
    """With fresh topics and an empty Redis, each inbox gets all that was acknowledged before the backup."""

    async with AsyncMongoClient(settings.url, serverMonitoringMode="poll") as client:
        await until(lambda: all_delivered(client[settings.database]), PATIENCE_S, 0.5)
    diagnosis, _ = await examine_deep(settings, None, silent)
    assert diagnosis.ok, diagnosis
    entries = {user: await world.pull(user, 100) for user in world.users}
    for user, inbox in entries.items():
        assert [entry["seq"] for entry in inbox] == list(range(1, len(inbox) + 1))
        assert before[user] <= {entry["message"]["message_id"] for entry in inbox}
    assert sum(map(len, entries.values())) == diagnosis.entries
