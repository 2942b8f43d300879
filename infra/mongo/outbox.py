"""The outbox: one row per group commit. It is written before its messages, and removed when all of them are
in their recipients' timelines.

A row is `{_id, o: owner, at, m: [[conversation, seq], …]}`. Ids rise with time. Its owner is the process
that must spread it. An owner holds a lease in `publishers`, by the server's clock. Rows whose owner's lease
ran out, and rows given up (owner `""`), belong to the relay. `k` marks rows that a relay has spread; they
only wait to be removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from infra.mongo.client import Database, Duplicate
from infra.mongo.messages import Place

RELAY = "~"
"""The beginning of the owner ids of relays."""

_TURN = "turn of the relays"


class Row(NamedTuple):
    """One group commit: where its messages stand."""

    row_id: str
    at_ms: int
    places: list[Place]


class Alive(NamedTuple):
    """The processes whose lease holds, by the server's clock.

    `turn`: whether one of the relays has its turn, which shows that it works. `waiting`: whether rows wait
    for a relay.
    """

    apis: int
    relays: int
    turn: bool
    waiting: bool


class OutboxStore:
    """Durable when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("outbox")
        self._publishers = database.collection("publishers")

    async def add(self, owner: str, row: Row) -> None:
        places = [list(place) for place in row.places]
        await self._rows.insert({"_id": row.row_id, "o": owner, "at": row.at_ms, "m": places})

    async def narrow(self, row_id: str, places: Iterable[Place]) -> None:
        """From now on the row announces these places only."""
        change = {"$set": {"m": [list(place) for place in places]}}
        await self._rows.update_many({"_id": row_id}, change)

    async def remove(self, row_ids: Sequence[str]) -> None:
        await self._rows.delete_many({"_id": {"$in": list(row_ids)}})

    async def give_up(self, row_ids: Sequence[str]) -> None:
        """Leave rows to the relay."""
        change = {"$set": {"o": ""}, "$unset": {"k": ""}}
        await self._rows.update_many({"_id": {"$in": list(row_ids)}}, change)

    async def mark_spread(self, owner: str, row_ids: Sequence[str]) -> None:
        """Kafka has the messages of these rows, as far as they are stored."""
        await self._rows.update_many({"_id": {"$in": list(row_ids)}, "o": owner}, {"$set": {"k": 1}})

    async def relay_is_behind(self) -> bool:
        """Whether rows wait for the relay to spread them."""
        waiting = {"$or": [{"o": ""}, {"o": {"$gte": RELAY}, "k": None}]}
        return await self._rows.find_one(waiting, ["_id"]) is not None

    async def count(self) -> int:
        """About how many rows there are, without counting them."""
        return await self._rows.estimate()

    async def renew_lease(self, owner: str, lease_s: float) -> None:
        """The owner's lease holds for `lease_s` more, by the server's clock."""
        until = {"$add": ["$$NOW", round(lease_s * 1000)]}
        await self._publishers.update({"_id": owner}, [{"$set": {"until": until}}], upsert=True)

    async def end_lease(self, owner: str) -> None:
        """The owner ends: the relay gets its remaining rows at once."""
        await self._publishers.delete_many({"_id": owner})

    async def alive(self) -> Alive:
        """Who holds a lease. A process that was killed counts until its lease runs out."""
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        holders = {row["_id"] for row in await self._publishers.find_any_order(live, ["_id"])}
        owners = holders - {_TURN}
        relays = sum(owner.startswith(RELAY) for owner in owners)
        return Alive(len(owners) - relays, relays, _TURN in holders, await self.relay_is_behind())

    async def adopt(self, owner: str, limit: int) -> list[Row]:
        """Take over up to `limit` rows whose owner is gone. Returns them, oldest id first.

        Also adopts rows that another relay took and did not mark as spread. Only one relay works at a time,
        so nobody else works on them. They remain when an earlier call took them over but ended in
        Unavailable: its relay does not know of them, and may never get its turn again.
        """
        live = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        owners = [row["_id"] for row in await self._publishers.find_any_order(live, ["_id"])]
        waiting = {"$or": [{"o": {"$nin": owners}}, {"o": {"$gte": RELAY}, "k": None}]}
        orphaned = await self._rows.find(waiting, ["o"], limit=limit)
        for previous in {row["o"] for row in orphaned} - {owner}:
            ids = [row["_id"] for row in orphaned if row["o"] == previous]
            change = {"$set": {"o": owner}, "$unset": {"k": ""}}
            await self._rows.update_many({"_id": {"$in": ids}, "o": previous}, change)
        mine = await self._rows.find({"_id": {"$in": [row["_id"] for row in orphaned]}, "o": owner})
        return [Row(row["_id"], row["at"], _places(row["m"])) for row in mine]

    async def take_turn(self, owner: str, turn_s: float) -> bool:
        """Whether this owner has the turn for the next `turn_s`. One owner has it at a time, by the server's
        clock.
        """
        until = {"$add": ["$$NOW", round(turn_s * 1000)]}
        free = {"_id": _TURN, "$or": [{"by": owner}, {"$expr": {"$lte": ["$until", "$$NOW"]}}]}
        take = [{"$set": {"by": owner, "until": until}}]
        if await self._publishers.update(free, take):
            return True
        try:
            await self._publishers.insert({"_id": _TURN, "by": "", "until": datetime.fromtimestamp(0, UTC)})
        except Duplicate:
            return False
        return bool(await self._publishers.update(free, take))

    async def end_turn(self, owner: str) -> None:
        await self._publishers.delete_many({"_id": _TURN, "by": owner})

    async def forget_publishers(self) -> None:
        """Remove leases that ran out."""
        await self._publishers.delete_many({"$expr": {"$lte": ["$until", "$$NOW"]}})


def _places(stored: Iterable[list[object]]) -> list[Place]:
    return [(place[0], place[1]) for place in stored]  # type: ignore[misc]
