"""What `ringpost doctor --deep` says of a database that was damaged on purpose, and of one that was not."""

from __future__ import annotations

import json
from contextlib import suppress

import pymongo
import pymongo.errors
import pytest

from domain.devices import Device
from infra.mongo import audit
from infra.mongo.accounts import AccountStore
from infra.mongo.audit import Audit
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Row, RowId
from infra.mongo.timelines import Line, TimelineStore
from ringpost import deep, diagnosis
from ringpost.deep import diagnose
from tests.builders import ANN, ANN_BOB, BOB, CEM, GROUP, conversation, opened_database, settings_for, stored

MESSAGES = 9


@pytest.fixture
async def database(engines, unique):
    async with opened_database(settings_for(engines, unique)) as database:
        await settle(database)
        yield database


async def settle(database) -> None:
    """Ann and Bob have `MESSAGES` direct messages and as many in a group, which Cem left after the third."""
    accounts, conversations = AccountStore(database), ConversationStore(database)
    for user in (ANN, BOB, CEM):
        await accounts.put_user(user, None, 1)
        await accounts.put_device(Device(user, "phone", "mobile"), 1)
    await conversations.create(conversation(ANN_BOB), [ANN, BOB])
    await conversations.create(conversation(GROUP, owner=ANN), [ANN, BOB, CEM])
    assert await conversations.begin(GROUP, CEM, join=False)
    await conversations.finish(GROUP, await conversations.pending(GROUP), 4)
    seqs = range(1, MESSAGES + 1)
    await MessageStore(database).insert([stored(place, seq) for place in (ANN_BOB, GROUP) for seq in seqs])
    of_both = [(place, seq) for seq in seqs for place in (ANN_BOB, GROUP)]
    of_cem = [(GROUP, seq) for seq in range(1, 4)]
    for user, places in ((ANN, of_both), (BOB, of_both), (CEM, of_cem)):
        lines = [Line(user, number, *place) for number, place in enumerate(places, 1)]
        assert await TimelineStore(database).append(lines) == len(lines)


@pytest.fixture
def raw(engines, unique, database):
    """The same database, past everything that protects it."""
    with pymongo.MongoClient(engines.mongo_url) as client:
        yield client[unique]


async def problems(database) -> list[tuple[str, str | None, str | None, int | None]]:
    found = await diagnose(Audit(database), lambda text: None)
    assert found.ok == (not found.problems)
    return [(one.kind, one.user_id, one.conversation_id, one.seq) for one in found.problems]


async def test_whole_database_has_no_problem_and_all_of_it_was_read(database):
    found = await diagnose(Audit(database), lambda text: None)
    assert found.ok, found
    assert (found.messages, found.entries, found.users) == (2 * MESSAGES, 4 * MESSAGES + 3, 3)


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_of_any_size_are_read_to_the_end(database, raw, monkeypatch, size):
    for module, name in ((audit, "LINES"), (audit, "MESSAGES"), (audit, "DEVICES"), (deep, "EXPECTED")):
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(deep, "BRANCHES", size)
    found = await diagnose(Audit(database), lambda text: None)
    assert found.ok, found
    assert (found.messages, found.entries) == (2 * MESSAGES, 4 * MESSAGES + 3)
    raw.timelines.delete_one({"_id": {"u": BOB, "s": 2 * MESSAGES}})
    assert await problems(database) == [("undelivered", BOB, GROUP, MESSAGES)]


async def test_lost_line_is_a_gap_and_an_undelivered_message(database, raw):
    raw.timelines.delete_one({"_id": {"u": BOB, "s": 5}})
    assert await problems(database) == [("gap", BOB, None, 5), ("undelivered", BOB, ANN_BOB, 3)]


async def test_inbox_that_lost_its_first_numbers_has_a_gap(database, raw):
    raw.timelines.delete_many({"_id": {"$in": [{"u": CEM, "s": 1}, {"u": CEM, "s": 2}]}})
    raw.messages.delete_many({"_id.c": GROUP, "_id.q": {"$lte": 2}})
    assert ("gap", CEM, None, 1) in await problems(database)


async def test_lost_message_is_found_by_the_lines_that_name_it(database, raw):
    raw.messages.delete_one({"_id": {"c": GROUP, "q": 2}})
    expected = [("dangling", user, GROUP, 4) for user in (ANN, BOB)] + [("dangling", CEM, GROUP, 2)]
    assert await problems(database) == expected


async def test_entry_for_someone_who_had_left_is_found(database, raw):
    raw.timelines.insert_one({"_id": {"u": CEM, "s": 4}, "c": GROUP, "q": 4})
    raw.timelines.insert_one({"_id": {"u": CEM, "s": 5}, "c": ANN_BOB, "q": 1})
    assert await problems(database) == [("stranger", CEM, GROUP, 4), ("stranger", CEM, ANN_BOB, 5)]


async def test_message_twice_in_an_inbox_is_found_and_so_is_the_index_that_allowed_it(database, raw):
    raw.timelines.drop_index("once")
    raw.timelines.create_index([("_id.u", 1), ("c", 1), ("q", 1)], name="once")
    raw.timelines.insert_one({"_id": {"u": CEM, "s": 4}, "c": GROUP, "q": 3})
    assert await problems(database) == [("index", None, None, None), ("duplicate", CEM, GROUP, 3)]


async def test_send_that_is_stored_twice_is_found(database, raw):
    raw.messages.drop_index("once")
    first = json.loads(raw.messages.find_one({"_id": {"c": ANN_BOB, "q": 4}})["m"])
    again = stored(ANN_BOB, 8, ANN, first["client_message_id"])
    raw.messages.update_one({"_id": {"c": ANN_BOB, "q": 8}}, {"$set": {"k": again.key, "m": again.message}})
    assert await problems(database) == [("index", None, None, None), ("repeated", None, ANN_BOB, 8)]


async def test_message_that_cannot_be_read_or_says_another_place_is_found(database, raw):
    raw.messages.update_one({"_id": {"c": ANN_BOB, "q": 1}}, {"$set": {"m": b'{"message_id":'}})
    raw.messages.update_one({"_id": {"c": ANN_BOB, "q": 2}}, {"$unset": {"m": 1}})
    other = stored(ANN_BOB, 7).message
    raw.messages.update_one({"_id": {"c": ANN_BOB, "q": 3}}, {"$set": {"m": other}})
    expected = [("message", None, ANN_BOB, seq) for seq in (1, 2, 3)]
    assert await problems(database) == [("document", None, None, None), *expected]


async def test_message_that_a_row_of_the_outbox_announces_is_not_missing_yet(database, raw):
    await MessageStore(database).insert([stored(ANN_BOB, MESSAGES + 1), stored(GROUP, MESSAGES + 1)])
    row = Row(RowId("a", 1), 1, [(ANN_BOB, MESSAGES + 1), (ANN_BOB, MESSAGES + 2)])
    await MessageStore(database).insert([], row)
    found = await problems(database)
    assert found == [("undelivered", user, GROUP, MESSAGES + 1) for user in (ANN, BOB)]


async def test_messages_without_a_conversation_are_found(database, raw):
    raw.conversations.delete_one({"_id": GROUP})
    assert await problems(database) == [("conversation", None, GROUP, None)]


async def test_device_that_acknowledged_more_than_there_is_is_found(database, raw):
    raw.devices.update_one({"_id.u": CEM}, {"$set": {"cursor": 4}})
    raw.devices.update_one({"_id.u": ANN}, {"$set": {"cursor": 2 * MESSAGES}})
    assert await problems(database) == [("cursor", CEM, None, 4)]


async def test_all_problems_are_counted_and_so_many_are_told(database, raw, monkeypatch):
    monkeypatch.setattr(diagnosis, "KEPT", 2)
    raw.messages.delete_many({"_id.c": ANN_BOB})
    found = await diagnose(Audit(database), lambda text: None)
    assert found.kinds == {"dangling": 2 * MESSAGES}
    assert len(found.problems) == 2
    assert f"dangling: {2 * MESSAGES - 2} more" in str(found)


async def test_nothing_is_written(database, raw):
    def state() -> dict[str, list]:
        return {name: list(raw[name].find().sort("_id")) for name in sorted(raw.list_collection_names())}

    raw.timelines.delete_one({"_id": {"u": BOB, "s": 5}})
    before = state()
    await diagnose(Audit(database), lambda text: None)
    assert state() == before


@pytest.mark.parametrize(
    ("collection", "which", "change", "expected"),
    [
        ("members", {"_id": {"c": ANN_BOB, "u": BOB}}, None, ("member", BOB, ANN_BOB, None)),
        ("members", {"_id": {"c": GROUP, "u": BOB}}, {"w": [[5, 3]]}, ("member", BOB, GROUP, None)),
        ("members", {"_id": {"c": GROUP, "u": CEM}}, {"w": [[1, 4], [3, 4]]}, ("member", CEM, GROUP, None)),
        ("members", {"_id": {"c": GROUP, "u": BOB}}, {"w": []}, ("member", BOB, GROUP, None)),
        ("conversations", {"_id": GROUP}, {"owner": "nobody"}, ("owner", "nobody", GROUP, None)),
        ("conversations", {"_id": GROUP}, {"owner": None}, ("owner", None, GROUP, None)),
        ("conversations", {"_id": GROUP}, {"kind": "direct"}, ("conversation", None, GROUP, None)),
        ("conversations", {"_id": GROUP}, {"kind": "zzz"}, ("document", None, None, None)),
        ("users", {"_id": CEM}, None, ("user", CEM, GROUP, None)),
        ("users", {"_id": ANN}, None, ("user", ANN, ANN_BOB, 1)),
        ("messages", {"_id": {"c": GROUP, "q": 2}}, {"f": BOB}, ("message", None, GROUP, 2)),
        ("messages", {"_id": {"c": GROUP, "q": 2}}, {"k": b"k" * 16}, ("message", None, GROUP, 2)),
        ("messages", {"_id": {"c": GROUP, "q": 2}}, {"h": b"h" * 16}, ("message", None, GROUP, 2)),
    ],
)
async def test_what_does_not_agree_is_found(database, raw, collection, which, change, expected):
    done = (
        raw[collection].update_one(which, {"$set": change}) if change else raw[collection].delete_one(which)
    )
    assert done.raw_result["n"] == 1
    assert expected in await problems(database)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"text 2"', b'"text 3"'),
        (b'"kind":"text"', b'"kind":"zzz"'),
        (b'"seq":2', b'"seq":3'),
        (b'"sender_id":"ann"', b'"sender_id":"bob"'),
        (b'"conversation_id":"', b'"conversation_id":"x'),
    ],
)
async def test_changed_message_no_longer_agrees_with_what_stands_beside_it(database, raw, old, new):
    kept = raw.messages.find_one({"_id": {"c": GROUP, "q": 2}})
    assert old in kept["m"]
    raw.messages.update_one({"_id": kept["_id"]}, {"$set": {"m": kept["m"].replace(old, new)}})
    assert await problems(database) == [("message", None, GROUP, 2)]


async def test_change_of_members_that_is_under_way_is_no_problem(database, raw):
    conversations = ConversationStore(database)
    assert await conversations.begin(GROUP, ANN, join=False)
    assert await conversations.begin(GROUP, CEM, join=True)
    assert await problems(database) == []
    await conversations.finish(GROUP, await conversations.pending(GROUP), MESSAGES + 1)
    assert await problems(database) == []


ANYTHING = (None, -1.5, "d:x", True, b"\xff", [[1]], {"c": 1, "u": "ann"})


KINDS = {one: (one, {}) for one in audit.COLLECTIONS} | {
    "messages": ("messages", {"m": {"$exists": True}}),
    "outbox": ("messages", {"r": {"$exists": True}}),
}
"""A kind of document → its collection, and how to find one there."""


@pytest.mark.parametrize("kind", KINDS)
async def test_no_damage_of_a_document_ends_the_check(database, raw, kind, monkeypatch):
    """Each field of a document is taken out, and then has each wrong value, its id too."""
    monkeypatch.setattr(audit, "LINES", 4)
    row = Row(RowId("a", 1), 1, [(ANN_BOB, MESSAGES + 1)])
    await MessageStore(database).insert([stored(ANN_BOB, MESSAGES + 1)], row)
    assert await problems(database) == []
    collection, where = KINDS[kind]
    whole = raw[collection].find_one(where)
    for field in whole:
        if field != "_id":
            raw[collection].update_one({"_id": whole["_id"]}, {"$unset": {field: 1}})
            await problems(database)
        for value in ANYTHING:
            damaged = whole | {field: value}
            raw[collection].delete_one({"_id": whole["_id"]})
            with suppress(pymongo.errors.WriteError):  # MongoDB itself takes no list as an id
                raw[collection].insert_one(damaged)
            found = await diagnose(Audit(database), lambda text: None)
            raw[collection].delete_one({"_id": damaged["_id"]})
            raw[collection].insert_one(whole)
            assert all(one.said.endswith(".") for one in found.problems)
            json.dumps(found.as_json())
    assert await problems(database) == []


async def test_document_without_a_field_is_named(database, raw):
    raw.members.update_one({"_id": {"c": ANN_BOB, "u": BOB}}, {"$unset": {"w": 1}})
    found = await diagnose(Audit(database), lambda text: None)
    place = {"c": ANN_BOB, "u": BOB}
    said = f"The document {place!r} of members is not as Ringpost writes it: it lacks the field `w`."
    assert [one.said for one in found.problems] == [said]
