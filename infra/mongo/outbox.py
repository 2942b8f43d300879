"""The outbox: one row per group commit, written before its messages, removed when all of them are
known to be in their recipients' timelines.

A row is `{_id, o: owner, at, m: [[conversation, seq], …]}`. Its owner is the process that must spread
it. An owner holds a lease in `publishers`, by the server's clock; the rows of one whose lease ran
out, and rows given up (owner `""`), belong to whichever relay adopts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from infra.mongo.client import Database
from infra.mongo.messages import Place


class Row(NamedTuple):
    """One group commit: where its messages stand."""

    row_id: str
    at_ms: int
    places: list[Place]


class OutboxStore:
    """Durable when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("outbox")
        self._publishers = database.collection("publishers")

    async def add(self, owner: str, row: Row) -> None:
        places = [list(place) for place in row.places]
        await self._rows.insert({"_id": row.row_id, "o": owner, "at": row.at_ms, "m": places})

    async def remove(self, row_ids: Sequence[str]) -> None:
        await self._rows.delete_many({"_id": {"$in": list(row_ids)}})

    async def give_up(self, row_ids: Sequence[str]) -> None:
        """Leave rows to the relay."""
        await self._rows.update_many({"_id": {"$in": list(row_ids)}}, {"$set": {"o": ""}})

    async def count(self) -> int:
        return await self._rows.count({})

    async def renew_lease(self, owner: str, lease_s: float) -> None:
        """The owner is alive for `lease_s` more, by the server's clock."""
        until = {"$add": ["$$NOW", round(lease_s * 1000)]}
        await self._publishers.update({"_id": owner}, [{"$set": {"until": until}}], upsert=True)

    async def end_lease(self, owner: str) -> None:
        """The owner is gone: what it still has is for the relay at once."""
        await self._publishers.delete_many({"_id": owner})

    async def adopt(self, owner: str, limit: int) -> list[Row]:
        """Take over up to `limit` rows that nobody alive owns; returns them, oldest id first."""
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        owners = [row["_id"] for row in await self._publishers.find_any_order(live, ["_id"])]
        orphaned = await self._rows.find({"o": {"$nin": owners}}, ["o"], limit=limit)
        for previous in {row["o"] for row in orphaned}:
            ids = [row["_id"] for row in orphaned if row["o"] == previous]
            await self._rows.update_many({"_id": {"$in": ids}, "o": previous}, {"$set": {"o": owner}})
        mine = await self._rows.find({"_id": {"$in": [row["_id"] for row in orphaned]}, "o": owner})
        return [Row(row["_id"], row["at"], _places(row["m"])) for row in mine]

    async def forget_publishers(self) -> None:
        """Remove leases that ran out."""
        await self._publishers.delete_many({"$expr": {"$lte": ["$until", "$$NOW"]}})


def _places(stored: Iterable[list[object]]) -> list[Place]:
    return [(place[0], place[1]) for place in stored]  # type: ignore[misc]
