"""What `ringpost doctor --deep --against …` says of two databases."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pymongo
import pytest

from infra.mongo.client import open_database
from infra.mongo.indexes import ensure_schema
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import Line, TimelineStore
from infra.settings import SettingsError
from ringpost.compare import Tally, examine_deep
from tests.builders import ANN, ANN_BOB, BOB, GROUP, settings_for, stored
from tests.docs.running import ROOT
from tests.patience import PATIENCE_S

OWN_NOTES = "d:ann:ann"


def silent(text: str) -> None:
    pass


@pytest.fixture
async def pair(engines, unique):
    """Settings of a backup, and the address of the database that it was taken from."""
    original = f"{unique}_original"
    settings = settings_for(engines, unique)
    with pymongo.MongoClient(engines.mongo_url) as client:
        for name in (original, unique):
            await fill(settings_for(engines, name).mongo)
        yield settings.mongo, engines.mongo_url.replace("/?", f"/{original}?"), client
        for name in (original, unique):
            client.drop_database(name)


async def fill(settings) -> None:
    async with open_database(settings) as database:
        await ensure_schema(database)
        places = [(ANN_BOB, 1), (ANN_BOB, 2), (GROUP, 1), (OWN_NOTES, 1)]
        await MessageStore(database).insert(
            [stored(*place, client_message_id=f"{place}") for place in places]
        )
        for user in (ANN, BOB):
            lines = [Line(user, number, *place) for number, place in enumerate(places[:3], 1)]
            await TimelineStore(database).append(lines)


async def compared(pair):
    settings, original, _ = pair
    _, comparison = await examine_deep(settings, original, silent)
    assert comparison is not None
    return comparison


@pytest.fixture
def here(pair, unique):
    return pair[2][unique]


@pytest.fixture
def there(pair, unique):
    return pair[2][f"{unique}_original"]


async def test_copy_holds_the_same(pair):
    found = await compared(pair)
    assert found.ok
    assert (found.messages, found.entries) == (Tally(same=4), Tally(same=6))
    assert (found.conversations, found.inboxes) == ({"the same": 3}, {"the same": 2})
    assert str(found).endswith("Both hold the same.")


async def test_what_was_written_after_the_backup_is_only_in_the_original(pair, there):
    there.messages.insert_one({"_id": {"c": ANN_BOB, "q": 3}, "f": ANN, "k": b"k", "h": b"h", "m": b"m"})
    there.timelines.insert_one({"_id": {"u": BOB, "s": 4}, "c": ANN_BOB, "q": 3})
    there.timelines.insert_one({"_id": {"u": "zoe", "s": 1}, "c": ANN_BOB, "q": 3})
    found = await compared(pair)
    assert found.ok
    assert (found.messages, found.entries) == (Tally(same=4, only_there=1), Tally(same=6, only_there=2))
    assert found.inboxes == {"the same": 1, "shorter here": 2}
    assert found.counts_there["timelines"] == found.counts_here["timelines"] + 2
    assert "a part of the other one" in str(found)


async def test_what_the_original_lacks_is_told(pair, there):
    there.messages.delete_one({"_id": {"c": GROUP, "q": 1}})
    there.timelines.delete_one({"_id": {"u": BOB, "s": 3}})
    found = await compared(pair)
    assert not found.ok
    assert [(one.user_id, one.conversation_id, one.seq) for one in found.problems] == [
        (None, GROUP, 1),
        (BOB, None, 3),
    ]
    assert (found.conversations, found.inboxes) == (
        {"the same": 2, "longer here": 1},
        {"the same": 1, "longer here": 1},
    )


@pytest.mark.parametrize("field", ["f", "k", "h", "m"])
async def test_message_that_differs_in_any_part_is_told(pair, here, field):
    changed = "cem" if field == "f" else b"changed"
    here.messages.update_one({"_id": {"c": ANN_BOB, "q": 2}}, {"$set": {field: changed}})
    found = await compared(pair)
    assert not found.ok
    assert (found.messages, found.entries) == (Tally(same=3, different=1), Tally(same=6))
    assert [one.said for one in found.problems] == [f"The message {ANN_BOB}:2 differs."]
    assert found.conversations == {"different": 1, "the same": 2}


async def test_entry_that_names_another_message_is_told(pair, here):
    here.timelines.update_one({"_id": {"u": ANN, "s": 3}}, {"$set": {"q": 2}})
    found = await compared(pair)
    assert not found.ok
    assert found.entries == Tally(same=5, different=1)


async def test_ids_are_in_the_order_of_the_database(pair, here, there):
    """MongoDB sorts by bytes."""
    for user in ("A", "a", "_", "@", "-", ".", "Z9", "é", "\uffee", "\U0001f600"):
        for database in (here, there):
            database.timelines.insert_one({"_id": {"u": user, "s": 1}, "c": ANN_BOB, "q": 1})
    there.timelines.delete_one({"_id.u": "\uffee"})
    found = await compared(pair)
    assert found.entries == Tally(same=15, only_here=1)


async def test_address_may_stand_in_a_file(pair, tmp_path):
    settings, original, _ = pair
    (tmp_path / "url").write_text(original + "\n")
    _, comparison = await examine_deep(settings, str(tmp_path / "url"), silent)
    assert comparison.messages == Tally(same=4)


@pytest.mark.parametrize("against", ["nowhere/at/all", "http://somewhere", "mongodb://host:port"])
async def test_address_that_is_none_is_a_sentence(pair, against):
    with pytest.raises(SettingsError, match="--against"):
        await examine_deep(pair[0], against, silent)


@pytest.fixture
def command(engines, unique):
    """`ringpost doctor` with MongoDB alone, as for a backup that was restored beside the original."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    environment = kept | {"RINGPOST_MONGO_URL": engines.mongo_url, "RINGPOST_MONGO_DATABASE": unique}

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "ringpost", "doctor", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    return run


async def test_command_tells_people_and_machines_and_ends_with_a_code(pair, there, command):
    done = await command("--against", pair[1], "--json")
    answer = json.loads(done.stdout)
    assert answer["comparison"]["messages"] == {"same": 4, "different": 0, "only_here": 0, "only_there": 0}
    assert (done.returncode, answer["ok"]) == (1, False)  # what was filled in belongs to no conversation
    there.messages.delete_one({"_id": {"c": GROUP, "q": 1}})
    done = await command("--deep", "--against", pair[1])
    assert done.returncode == 1
    assert f"The message {GROUP}:1 is only here." in done.stdout
    assert "This database is not a part of the other one." in done.stdout


async def test_command_is_content_with_a_database_that_is_whole(pair, here, there, command):
    for database in (here, there):
        for collection in ("messages", "timelines"):
            database[collection].delete_many({})
    done = await command("--deep", "--against", pair[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything fits together." in done.stdout
