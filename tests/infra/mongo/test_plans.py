"""What a read of the large collections costs does not grow with them, by MongoDB's own account."""

from __future__ import annotations

import pymongo
import pytest

from infra.mongo.activity import ActivityStore
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import Line, TimelineStore
from tests.builders import stored

CONVERSATIONS = ["d:ann:bob", "d:ann:cem", "d:bob:cem", "g:abcdefghijklmnop"]
EACH = 100
PLACES = [(conversation, seq) for conversation in CONVERSATIONS for seq in (1, 50, 100)]
READS = {
    "documents": lambda m, t: m.documents([*PLACES, ("d:nobody:nowhere", 1)], ["m"]),
    "by key": lambda m, t: m.by_key([(c, stored(c, 7, client_message_id="m7").key) for c in CONVERSATIONS]),
    "last": lambda m, t: m.last("d:ann:cem"),
    "newest page": lambda m, t: m.page("d:ann:cem", 0, 2**53 - 1, 10, newest=True),
    "oldest page": lambda m, t: m.page("d:ann:cem", 20, 2**53 - 1, 10, newest=False),
    "head": lambda m, t: t.head("bob"),
    "page": lambda m, t: t.page("bob", 50, 10),
    "lines of messages": lambda m, t: t.find(["ann", "bob"], "d:ann:cem", [1, 50, 100]),
}

READS_OF_ACTIVITY = {
    "newest": (lambda a: a.newest("bob", ["d:ann:cem"], 2**53 - 1), 1),
    "window": (lambda a: a.window("bob", 50, 10), 10),
}
"""A read, and how many lines it is about."""


@pytest.fixture
async def stores(database):
    messages, timelines = MessageStore(database), TimelineStore(database)
    for conversation in CONVERSATIONS:
        await messages.insert(
            [stored(conversation, seq, client_message_id=f"m{seq}") for seq in range(1, EACH + 1)]
        )
    for user in ("ann", "bob", "cem"):
        await timelines.append([Line(user, seq, "d:ann:cem", seq) for seq in range(1, EACH + 1)])
    return messages, timelines


@pytest.fixture
def profile(engines, unique):
    """MongoDB's notes of what it did; they begin with the call."""
    with pymongo.MongoClient(engines.mongo_url) as client:

        def begin():
            client[unique].command("profile", 2)
            return client[unique]["system.profile"]

        yield begin
        client[unique].command("profile", 0)


@pytest.mark.parametrize("name", READS)
async def test_read_looks_at_little_more_than_it_returns(stores, profile, name):
    noted = profile()
    found = await READS[name](*stores)
    returned = 1 if isinstance(found, int | tuple) else len(found)
    assert returned > 0
    assert looked_at(noted) <= 2 * returned + 2


@pytest.mark.parametrize("name", READS_OF_ACTIVITY)
async def test_read_of_activity_looks_at_little_more_than_it_is_about(stores, database, profile, name):
    read, lines = READS_OF_ACTIVITY[name]
    noted = profile()
    await read(ActivityStore(database))
    assert 0 < looked_at(noted) <= 2 * lines + 2


def looked_at(noted) -> int:
    """How many documents all reads since then have looked at."""
    reads = list(
        noted.find({"op": {"$in": ["query", "command", "getmore"]}, "ns": {"$not": {"$regex": "system"}}})
    )
    assert reads
    return sum(read.get("docsExamined", 0) for read in reads)
