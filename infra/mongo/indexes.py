"""Collections and indexes. Each index keeps a promise, which stands beside it."""

from __future__ import annotations

from typing import NamedTuple

from infra.mongo.client import Database
from infra.mongo.terms import Document


class Index(NamedTuple):
    collection: str
    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool
    promise: str
    partial: Document | None = None
    """Which documents are in it; None: all."""


CLUSTERED = ("messages", "timelines")
PLAIN = ("users", "devices", "conversations", "members", "publishers", "behind")

_LEFT: Document = {"o": {"$exists": True}}
_MENTIONING: Document = {"n": {"$exists": True}}
_PINNED: Document = {"p.on": True}
_UNTOLD: Document = {"ad": {"$exists": True}}

INDEXES = (
    Index("messages", "once", (("_id.c", 1), ("k", 1)), True, "one send, one message (I6)"),
    Index("timelines", "once", (("_id.u", 1), ("c", 1), ("q", 1)), True, "one message, one entry (I3, I6)"),
    Index("members", "of_user", (("_id.u", 1),), False, "a user's conversations"),
    Index("messages", "left", (("o", 1),), False, "outbox rows that wait for a relay", _LEFT),
    Index(
        "messages",
        "mentions",
        (("_id.c", 1), ("n", 1), ("_id.q", 1)),
        False,
        "who is mentioned behind a read mark",
        _MENTIONING,
    ),
    Index("messages", "pins", (("_id.c", 1),), False, "the pinned messages of a conversation", _PINNED),
    Index("messages", "untold", (("ad", 1),), False, "reactions that no record has told yet", _UNTOLD),
)


async def ensure_schema(database: Database) -> None:
    """Create what is missing. May run any number of times, also in several processes at once.

    It needs the right to create only for what is missing.
    """
    present = set(await database.collection_names())
    for name in (*CLUSTERED, *PLAIN):
        if name not in present:
            await database.create_collection(name, clustered=name in CLUSTERED)
    for index in await missing_indexes(database):
        collection = database.collection(index.collection)
        options = {"partialFilterExpression": index.partial} if index.partial else {}
        await collection.create_index(index.name, index.keys, unique=index.unique, **options)


async def missing_indexes(database: Database) -> list[Index]:
    """What `ensure_schema` would create, and what it would refuse as another index of the same name."""
    present = {
        name: await database.collection(name).indexes() for name in {one.collection for one in INDEXES}
    }
    return [index for index in INDEXES if not _is(index, present[index.collection].get(index.name))]


def _is(index: Index, present: Document | None) -> bool:
    if present is None:
        return False
    keys = [(name, int(direction)) for name, direction in present["key"]]
    same = keys == list(index.keys) and bool(present.get("unique")) == index.unique
    return same and present.get("partialFilterExpression") == index.partial
