"""Users whose rings may lack entries because Redis did not answer.

A document is `{_id: user, p: inbox partition, o: owner}`. The owner is the worker that will drop the ring. In
place of many users there is one document with the `_id` `all of P`: it means every ring of the partition P.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from domain.ids import UserId
from infra.mongo.client import Database
from infra.mongo.terms import Write

_ALL = "all of "


class Marked(NamedTuple):
    """Users with their inbox partition, and partitions all of whose users are meant."""

    users: dict[UserId, int]
    partitions: set[int]


class BehindStore:
    """Durable when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._behind = database.collection("behind")

    async def add(self, owner: str, users: Mapping[UserId, int]) -> None:
        """The owner looks after these users, whoever did before."""
        await self._put(owner, users)

    async def add_all(self, owner: str, partitions: Collection[int]) -> None:
        """The owner looks after every user of these partitions."""
        await self._put(owner, {f"{_ALL}{partition}": partition for partition in partitions})

    async def _put(self, owner: str, rows: Mapping[Any, int]) -> None:
        await self._behind.change_each(
            [Write({"_id": name}, {"$set": {"p": p, "o": owner}}, True) for name, p in rows.items()]
        )

    async def claim(self, owner: str, partitions: Collection[int]) -> Marked:
        """The owner looks after these partitions from now on. Returns all that it looks after."""
        await self._behind.update_many({"p": {"$in": list(partitions)}}, {"$set": {"o": owner}})
        marked = Marked({}, set())
        for row in await self._behind.find_any_order({"o": owner}):
            if row["_id"].startswith(_ALL):
                marked.partitions.add(row["p"])
            else:
                marked.users[row["_id"]] = row["p"]
        return marked

    async def remove(self, owner: str) -> None:
        """Remove all that the owner looks after."""
        await self._behind.delete_many({"o": owner})
