"""docs/data-model.md names the collections, fields, indexes, keys, topics and records that there are."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from consumers import dead_letter
from domain.clock import now_ms
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Delivery
from domain.ids import ConversationId, UserId
from infra.kafka.topics import LETTER_HEADERS, TOPICS
from infra.mongo.behind import BehindStore
from infra.mongo.indexes import CLUSTERED, INDEXES, PLAIN
from infra.mongo.messages import MessageStore
from infra.mongo.outbox import OutboxStore
from infra.mongo.registers import reacted
from infra.mongo.rows import Row, RowId, is_row
from infra.redis.keys import Keys
from tests import builders
from tests.api.description.traffic import told, use
from tests.api.people import Server
from tests.builders import opened_database, settings_for
from tests.docs.running import running
from tests.docs.tables import ROOT
from tests.docs.test_tables import rows
from tests.patience import PATIENCE_S

PAGE = (ROOT / "docs" / "data-model.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1]


def table(title: str, first_header: str) -> list[list[str]]:
    return rows(section(title), first_header)


def fields_of(document: dict[str, Any]) -> set[str]:
    """`_id.c` where the id has parts."""
    names = set()
    for name, value in document.items():
        names |= {f"{name}.{part}" for part in value} if isinstance(value, dict) else {name}
    return names


def test_collections_are_those_of_the_code():
    documented = {name: clustered == "yes" for name, _, clustered in table("Collections", "collection")}
    assert documented == {**dict.fromkeys(CLUSTERED, True), **dict.fromkeys(PLAIN, False)}


def test_indexes_are_those_of_the_code():
    documented = {
        (collection, name, tuple(re.findall(r"[\w.]+", keys)), unique == "yes")
        for collection, name, keys, unique, _ in table("Indexes", "collection")
    }
    assert documented == {
        (index.collection, index.name, tuple(key for key, _ in index.keys), index.unique) for index in INDEXES
    }


@pytest.fixture
def stored(engines, unique, tmp_path) -> Iterator[dict[str, set[str]]]:
    """Collection → the fields of its documents, after some traffic on a whole Ringpost."""
    (folder := tmp_path / "ringpost").mkdir()
    with (
        running(engines, unique, folder) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as http,
        pymongo.MongoClient[dict[str, Any]](engines.mongo_url) as mongo,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        ann, bob = server.person("ann"), server.person("bob")
        ann.send(ann.group(bob, title="Lunch"))
        use(ann, bob)
        told(bob)
        bob.ask("PATCH", "/v1/me", json={"last_seen": "contacts"}).raise_for_status()
        with ann.socket():
            assert ann.get("/v1/presence", user_ids="ann")["users"][0]["online"]
        end = time.monotonic() + PATIENCE_S
        while "last_seen" not in ann.get("/v1/presence", user_ids="ann")["users"][0]:
            assert time.monotonic() < end
        database = mongo[unique]
        yield {
            name: set().union(*(fields_of(one) for one in database[name].find() if not is_row(one)))
            for name in database.list_collection_names()
        }


async def test_fields_are_those_of_the_documents(stored, engines, unique):
    async with opened_database(settings_for(engines, f"{unique}o")) as database:
        outbox, row = OutboxStore(database), Row(RowId("dead", 1), now_ms(), [("d:ann:bob", 1)])
        messages, place = MessageStore(database), (ConversationId("d:ann:bob"), 1)
        await messages.insert([builders.stored(*place)], row)
        assert await messages.change(*reacted(place, 0, [("👍", [UserId("ann")])], now_ms()))
        await outbox.adopt("~relay", 1, 1)
        await outbox.mark_spread("~relay", [row.row_id])
        assert await outbox.take_turn("~relay", 60.0)
        await BehindStore(database).add("worker", {"ann": 3})
        for name in ("messages", "publishers", "behind"):
            for document in await database.collection(name).find({}):
                stored.setdefault("outbox" if is_row(document) else name, set()).update(fields_of(document))
    assert set(stored) == {*CLUSTERED, *PLAIN, "outbox"}
    for name, fields in stored.items():
        documented = {field for field, *_ in table(f"Fields of `{name}`", "field")}
        assert fields == documented, name


def test_keys_are_those_of_the_code():
    documented = [key for key, *_ in table("Redis", "key")]
    keys = Keys("rp:")
    made = [
        keys.ring("USER"),
        keys.filling("USER"),
        keys.online("USER"),
        keys.watchers("USER"),
        keys.signalled("USER", "CONVERSATION"),
        keys.recent("USER"),
        keys.counter("CONVERSATION"),
        keys.gateway("GATEWAY"),
        keys.gateway_news("GATEWAY"),
        keys.gateway_mark("GATEWAY"),
    ]
    assert documented == made
    assert len(made) == len([name for name in vars(Keys) if not name.startswith("_")])


def test_topics_are_those_of_the_code():
    documented = [tuple(row) for row in table("Kafka", "topic")]
    assert documented == [(topic.name, topic.key, topic.record, ", ".join(topic.groups)) for topic in TOPICS]


@pytest.mark.parametrize(
    "name, records, kind",
    [("deliveries", DELIVERY_RECORDS, Delivery), ("arrivals", ARRIVAL_RECORDS, Arrival)],
)
def test_records_on_the_page_are_records(name, records, kind):
    text = re.search(rf"^A record of `{name}`.*?```json\n(.*?)```", PAGE, re.M | re.S)
    assert text is not None
    items = records.decode(text[1].encode())
    assert {type(item) for item in items} == {kind}
    assert json.loads(records.encode(items)) == json.loads(text[1])


def test_headers_of_dead_letters_are_those_of_the_code():
    source = Path(dead_letter.__file__).read_text()
    assert dict(table("Kafka", "header")) == LETTER_HEADERS
    assert list(LETTER_HEADERS) == re.findall(r'^\s+\("(\w+)", ', source, re.M)
