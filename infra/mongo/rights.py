"""The rights that each part needs in MongoDB: as commands, and which of them the user lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.mongo.client import Database
from infra.mongo.indexes import CLUSTERED, PLAIN

_ANY = ""
"""Every collection of the database."""

Actions = Mapping[str, tuple[str, ...]]
"""Collection → actions."""

_LOOK = ("listCollections", "listIndexes")
_CHANGE = ("insert", "update")

RIGHTS: dict[str, Actions] = {
    "api": {
        # A lookup that begins with documents of its own needs the right to read every collection.
        _ANY: (*_LOOK, "find"),
        "users": _CHANGE,
        "devices": _CHANGE,
        "conversations": _CHANGE,
        "members": _CHANGE,
        "messages": ("insert", "update", "remove"),
        "publishers": ("insert", "update", "remove"),
    },
    "inbox": {
        # It reads messages that were edited, by such a lookup, too.
        _ANY: (*_LOOK, "find"),
        "timelines": ("insert",),
        "behind": ("insert", "update", "remove"),
    },
    "push": {_ANY: _LOOK},
    "relay": {
        _ANY: (*_LOOK, "find"),
        "conversations": ("update",),
        "members": ("update",),
        "messages": ("insert", "update", "remove"),
        "outbox": ("remove",),
        "publishers": ("insert", "update", "remove"),
    },
}
"""Part → its rights when the collections and their indexes are there."""

CREATING: Actions = dict.fromkeys((*CLUSTERED, *PLAIN), ("createCollection", "createIndex"))
"""What a part needs besides to create collections and indexes that are missing."""


class Missing(NamedTuple):
    collection: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.actions)} on {self.collection or 'every collection'}"


def role(name: str, rights: Actions, database: str) -> dict[str, Any]:
    """As `createRole` takes it."""
    return {"role": name, "privileges": privileges(rights, database), "roles": []}


def privileges(rights: Actions, database: str) -> list[dict[str, Any]]:
    return [
        {"resource": {"db": database, "collection": collection}, "actions": list(actions)}
        for collection, actions in rights.items()
    ]


def command(verb: str, *arguments: object) -> str:
    """A line for mongosh, run on the database that holds users and roles."""
    return f'db.getSiblingDB("admin").{verb}({", ".join(map(json.dumps, arguments))})'


async def missing_rights(database: Database, name: str, rights: Actions) -> list[Missing]:
    """What MongoDB would not let the user of these settings do in the database `name`. Raises Unavailable."""
    granted = await database.privileges()
    if granted is None:
        return []
    missing = []
    for collection, actions in rights.items():
        allowed = {
            action
            for one in granted
            if _covers(one["resource"], name, collection)
            for action in one["actions"]
        }
        if lacking := tuple(action for action in actions if not allowed & {action, "anyAction"}):
            missing.append(Missing(collection, lacking))
    return missing


def _covers(resource: Mapping[str, Any], database: str, collection: str) -> bool:
    """Whether a privilege on the resource holds for the collection. An empty name in it stands for all."""
    if resource.get("anyResource"):
        return True
    return resource.get("db") in (database, "") and resource.get("collection") in (collection, "")
