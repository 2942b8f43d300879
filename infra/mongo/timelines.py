"""The timelines: for each user, the order in which messages reached them. The truth behind every ring.

A document is `{_id: {u: user, s: inbox seq}, c, q}`. Numbers have no gap and are never reused, so a page is
a closed range. The unique index allows a message only one line in a timeline.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from domain.ids import MAX_SEQ, ConversationId, UserId
from infra.mongo.client import Database
from infra.mongo.rows import Place
from infra.mongo.terms import Document


class Line(NamedTuple):
    """One entry: the user's inbox seq, and the place of its message."""

    user_id: UserId
    inbox_seq: int
    conversation_id: ConversationId
    seq: int


class Stretch(NamedTuple):
    """The entries `low … high` of a user's inbox."""

    user_id: UserId
    low: int
    high: int


def _line(document: Document) -> Line:
    return Line(document["_id"]["u"], document["_id"]["s"], document["c"], document["q"])


class TimelineStore:
    """Durable (majority, journaled) when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._timelines = database.collection("timelines")

    async def append(self, lines: Sequence[Line]) -> int:
        """Put lines in, in order, up to the first that is refused. Returns how many are in.

        A line is refused if the timeline has its number or its message already. No line behind it is put in.
        So no gap can arise, and a writer with an outdated head does no harm.
        """
        documents = [
            {"_id": {"u": line.user_id, "s": line.inbox_seq}, "c": line.conversation_id, "q": line.seq}
            for line in lines
        ]
        refused = await self._timelines.insert_many(documents, ordered=True)
        return refused[0].at if refused else len(lines)

    async def head(self, user: UserId) -> int:
        """The newest inbox seq. 0 for an empty inbox."""
        newest = await self._timelines.find(_range(user, 0, MAX_SEQ), ["_id"], descending=True, limit=1)
        return int(newest[0]["_id"]["s"]) if newest else 0

    async def find(
        self, users: Collection[UserId], conversation: ConversationId, seqs: Collection[int]
    ) -> list[Line]:
        """The lines that these users' timelines have of these messages, from one query."""
        where = {"_id.u": {"$in": list(users)}, "c": conversation, "q": {"$in": list(seqs)}}
        return [_line(document) for document in await self._timelines.find_any_order(where)]

    async def page(self, user: UserId, after: int, limit: int) -> list[Line]:
        """The lines with `after < inbox_seq <= after + limit`, ascending, up to the first gap.

        What lies behind a gap counts as not written yet.
        """
        found = await self._timelines.find(_range(user, after + 1, after + limit))
        lines = [_line(document) for document in found]
        for offset, line in enumerate(lines, 1):
            if line.inbox_seq != after + offset:
                return lines[: offset - 1]
        return lines

    async def stretches(self, wanted: Sequence[Stretch]) -> list[tuple[UserId, Place]]:
        """The places of all entries in these parts of timelines, in few reads."""
        ranges = [_range(one.user_id, one.low, one.high) for one in wanted]
        pipelines = [[{"$match": one}, {"$project": {"c": 1, "q": 1}}] for one in ranges]
        found = await self._timelines.aggregate_each(pipelines)
        return [(d["_id"]["u"], (d["c"], d["q"])) for d in found]


def _range(user: UserId, low: int, high: int) -> Document:
    """Numbers from low to high, both included."""
    return {"_id": {"$gte": {"u": user, "s": low}, "$lte": {"u": user, "s": high}}}
