"""The outbox: who owns its rows, who gets those that were left, and when a row goes.

The process that wrote a row must spread it. It holds a lease in `publishers`, by the server's clock. Rows
whose writer's lease ran out, and rows given up, belong to the relays, who take turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from typing import NamedTuple

from domain.ids import MAX_SEQ
from infra.mongo.client import Database
from infra.mongo.rows import ROWS, Row, RowId, document_of, id_of, key_of, ranges_of, row_of
from infra.mongo.terms import Document, Duplicate, Filter, Write

RELAY = "~"
"""The beginning of the owner ids of relays."""

EARLIER_AT_ONCE = 1_000
_TURN = "turn of the relays"
_LIVE = {"$expr": {"$gt": ["$until", "$$NOW"]}}
_UNSPREAD = {"o": {"$gte": RELAY}, "s": None}


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
        self._rows = database.collection("messages")
        self._publishers = database.collection("publishers")
        self._earlier = database.collection("outbox")

    async def remove(self, rows: Collection[RowId]) -> None:
        await self._rows.change_each([Write(where) for where in ranges_of(rows)])

    async def give_up(self, rows: Collection[RowId], doubtful: Collection[Row] = ()) -> None:
        """Leave rows to the relay. A doubtful row may be written or not, now or later: it is written anew.

        The messages of a row that was never written may still appear, as those of a process that is paused.
        """
        left = {"$set": {"o": ""}, "$unset": {"s": ""}}
        await self._rows.change_each(
            [Write(where, left) for where in ranges_of(rows)]
            + [Write({"_id": key_of(row.row_id)}, _left_anew(row), upsert=True) for row in doubtful]
        )

    async def take_earlier(self) -> int:
        """Leave to the relays what version 0.1.0 kept in a collection `outbox`. Returns how many rows."""
        found = await self._earlier.find({}, limit=EARLIER_AT_ONCE)
        rows = []
        for document in found:
            _, owner, number = document["_id"].split(".")
            places = [(place[0], place[1]) for place in document["m"]]
            rows.append(Row(RowId(f"earlier-{owner}", int(number)), document["at"], places))
        await self.give_up((), rows)
        if found:
            await self._earlier.delete_many({"_id": {"$in": [document["_id"] for document in found]}})
        return len(found)

    async def mark_spread(self, owner: str, rows: Collection[RowId]) -> None:
        """Kafka has the messages of these rows, as far as they are stored."""
        spread = {"$set": {"s": 1}}
        await self._rows.change_each([Write({**where, "o": owner}, spread) for where in ranges_of(rows)])

    async def relay_is_behind(self) -> bool:
        """Whether rows that were given up or adopted wait for a relay to spread them."""
        return await self._rows.find_one({"$or": [{"o": ""}, _UNSPREAD]}, ["_id"]) is not None

    async def count(self, most: int = 0) -> int:
        """How many rows there are. It stops at `most`, unless that is 0."""
        return await self._rows.count({"_id": ROWS}, most)

    async def renew_lease(self, owner: str, lease_s: float) -> None:
        """The owner's lease holds for `lease_s` more, by the server's clock."""
        until = {"$add": ["$$NOW", round(lease_s * 1000)]}
        await self._publishers.update({"_id": owner}, [{"$set": {"until": until}}], upsert=True)

    async def end_lease(self, owner: str) -> None:
        """The owner ends: the relay gets its remaining rows at once."""
        await self._publishers.delete_many({"_id": owner})

    async def alive(self) -> Alive:
        """Who holds a lease. A process that was killed counts until its lease runs out."""
        holders = set(await self._holders())
        owners = holders - {_TURN}
        relays = sum(owner.startswith(RELAY) for owner in owners)
        return Alive(len(owners) - relays, relays, _TURN in holders, await self.relay_is_behind())

    async def adopt(self, owner: str, rows: int, messages: int) -> list[Row]:
        """Take over rows whose owner is gone, the oldest of each writer first. Returns them.

        It takes up to `rows`, and no further row once they announce so many `messages`. It also adopts
        rows that a relay took and did not mark as spread. Only one relay works at a time, so nobody else
        works on them. They remain when an earlier call took them over but ended in Unavailable: its relay
        does not know of them, and may never get its turn again.
        """
        adopted: list[Row] = []
        announced = 0
        for document in await self._orphans(rows):
            if announced >= messages:
                break
            adopted.append(row_of(document))
            announced += len(adopted[-1].places)
        taken = {"$set": {"o": owner}, "$unset": {"s": ""}}
        ids = [row.row_id for row in adopted]
        await self._rows.change_each([Write(where, taken) for where in ranges_of(ids)])
        return adopted

    async def _orphans(self, limit: int) -> list[Document]:
        live = await self._holders()
        left = {"$or": [{"o": {"$exists": True, "$nin": live}}, _UNSPREAD]}
        found = await self._rows.find(left, limit=limit)
        async for writer in self._writers():
            if len(found) >= limit:
                break
            if writer not in live:
                its = {"$gte": key_of(RowId(writer, 0)), "$lte": key_of(RowId(writer, MAX_SEQ))}
                found += await self._rows.find({"_id": its, "o": None}, limit=limit - len(found))
        return found

    async def _writers(self) -> AsyncIterator[str]:
        """Everybody who has written a row that is still there: one seek for each."""
        where: Filter = ROWS
        while found := await self._rows.find({"_id": where}, ["_id"], limit=1):
            writer = id_of(found[0]).writer
            yield writer
            where = {"$gt": key_of(RowId(writer, MAX_SEQ)), "$lt": ROWS["$lt"]}

    async def _holders(self) -> list[str]:
        return [row["_id"] for row in await self._publishers.find_any_order(_LIVE, ["_id"])]

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


def _left_anew(row: Row) -> Document:
    written = {name: value for name, value in document_of(row).items() if name != "_id"}
    return {"$set": {**written, "o": ""}, "$unset": {"s": ""}}
