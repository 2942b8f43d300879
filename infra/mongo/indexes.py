"""Collections and indexes. Each index is the only way to keep a promise; the promise stands beside it."""

from __future__ import annotations

from typing import NamedTuple

from infra.mongo.client import Database


class Index(NamedTuple):
    collection: str
    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool
    promise: str


CLUSTERED = ("messages", "timelines")
PLAIN = ("users", "devices", "conversations", "members", "outbox", "publishers")

INDEXES = (
    Index("messages", "once", (("_id.c", 1), ("k", 1)), True, "one send, one message (I6)"),
    Index("timelines", "once", (("_id.u", 1), ("c", 1), ("q", 1)), True, "one message, one entry (I3, I6)"),
    Index("members", "of_user", (("_id.u", 1),), False, "a user's conversations"),
    Index("outbox", "by_owner", (("o", 1), ("_id", 1)), False, "the rows of a process that is gone"),
)


async def ensure_schema(database: Database) -> None:
    """Create what is missing; may run any number of times, also at once in several processes."""
    present = set(await database.collection_names())
    for name in (*CLUSTERED, *PLAIN):
        if name not in present:
            await database.create_collection(name, clustered=name in CLUSTERED)
    for index in INDEXES:
        collection = database.collection(index.collection)
        await collection.create_index(index.name, index.keys, unique=index.unique)


async def missing_indexes(database: Database) -> list[Index]:
    """What `ensure_schema` would create."""
    return [
        index for index in INDEXES if index.name not in await database.collection(index.collection).indexes()
    ]
