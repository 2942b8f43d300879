"""Reads for a check of the whole database: page by page, in the order of the ids, and nothing is written.

A page holds at most `LINES` lines or `MESSAGES` messages, however large the database is. What is written
meanwhile may be on a later page or on none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import NamedTuple

from domain.conversations import Member
from domain.ids import MAX_SEQ, ConversationId, DeviceId, UserId
from infra.mongo.client import Database, Document
from infra.mongo.conversations import all_members, member_of
from infra.mongo.indexes import INDEXES
from infra.mongo.messages import Place, Send, Stored
from infra.mongo.timelines import Line

LINES = 1000
MESSAGES = 200
DEVICES = 1000
BRANCHES = 200
"""The most alternatives of one query."""

COLLECTIONS = ("users", "devices", "conversations", "members", "messages", "timelines", "outbox")


class Stretch(NamedTuple):
    """The messages `low … high` of a conversation, as they may stand in one user's timeline."""

    user_id: UserId
    conversation_id: ConversationId
    low: int
    high: int


class Audit:
    """One database, only read. Every verb raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages = database.collection("messages")
        self._timelines = database.collection("timelines")
        self._conversations = database.collection("conversations")
        self._members = database.collection("members")
        self._devices = database.collection("devices")
        self._outbox = database.collection("outbox")

    async def messages(self) -> AsyncIterator[list[Stored]]:
        """All messages, by conversation and seq."""
        async for page in self._pages("messages", ["f", "k", "h", "m"], MESSAGES):
            yield [_message(document) for document in page]

    async def lines(self) -> AsyncIterator[list[Line]]:
        """All lines of all timelines, by user and inbox seq."""
        async for page in self._pages("timelines", ["c", "q"], LINES):
            yield [_line(document) for document in page]

    async def devices(self) -> AsyncIterator[list[tuple[UserId, DeviceId, int]]]:
        """All devices with the cursor of each."""
        async for page in self._pages("devices", ["cursor"], DEVICES):
            yield [(d["_id"]["u"], d["_id"]["d"], d.get("cursor", 0)) for d in page]

    async def _pages(self, name: str, fields: Sequence[str], limit: int) -> AsyncIterator[list[Document]]:
        collection = self._database.collection(name)
        where: Document = {}
        while page := await collection.find(where, fields, limit=limit):
            yield page
            where = {"_id": {"$gt": page[-1]["_id"]}}

    async def counts(self) -> dict[str, int]:
        """Collection → its own count of its documents."""
        return {name: await self._database.collection(name).estimate() for name in COLLECTIONS}

    async def waiting(self) -> int:
        """The rows of the outbox."""
        return await self._outbox.count({})

    async def lacking_indexes(self) -> list[str]:
        """The unique indexes that are missing or not unique: `collection.name`."""
        lacking = []
        for index in INDEXES:
            present = await self._database.collection(index.collection).indexes()
            if index.unique and not present.get(index.name, {}).get("unique"):
                lacking.append(f"{index.collection}.{index.name}")
        return lacking

    async def stored(self, places: Iterable[Place]) -> set[Place]:
        """Those of the places at which a message is stored."""
        ids = [{"c": conversation, "q": seq} for conversation, seq in places]
        found = await self._messages.find_each(ids, ["_id"]) if ids else []
        return {(document["_id"]["c"], document["_id"]["q"]) for document in found}

    async def announced(self, places: Collection[Place]) -> set[Place]:
        """Those of the places that a row of the outbox names. Reads the whole outbox once."""
        rows = await self._outbox.find_any_order({"m": {"$in": [list(place) for place in places]}}, ["m"])
        return {(conversation, seq) for row in rows for conversation, seq in row["m"]} & set(places)

    async def existing(self, conversations: Iterable[ConversationId]) -> set[ConversationId]:
        """Those of the conversations that exist."""
        found = await self._conversations.find_any_order({"_id": {"$in": list(conversations)}}, ["_id"])
        return {document["_id"] for document in found}

    async def members(self, conversation: ConversationId) -> dict[UserId, Member]:
        """The members as written. A join that was begun and has no number holds nothing yet."""
        rows = await self._members.find_any_order(all_members(conversation))
        return {row["_id"]["u"]: member_of(row) for row in rows}

    async def memberships(self, user: UserId) -> dict[ConversationId, Member]:
        """The conversations that the user is or was in, as written."""
        rows = await self._members.find_any_order({"_id.u": user})
        return {row["_id"]["c"]: member_of(row) for row in rows}

    async def received(self, stretches: Sequence[Stretch]) -> list[Line]:
        """The lines that stand in these stretches, of which there are at most `BRANCHES`."""
        either = [
            {"_id.u": one.user_id, "c": one.conversation_id, "q": {"$gte": one.low, "$lte": one.high}}
            for one in stretches
        ]
        return [_line(d) for d in await self._timelines.find_any_order({"$or": either}, ["c", "q"])]

    async def present(self, user: UserId, low: int, high: int) -> set[int]:
        """Those of the inbox numbers `low … high` that the user's timeline has; looks at most at `LINES`."""
        between = {"$gte": {"u": user, "s": low}, "$lte": {"u": user, "s": high}}
        found = await self._timelines.find({"_id": between}, ["_id"], limit=LINES)
        return {document["_id"]["s"] for document in found}

    async def repeated(self, messages: Sequence[Stored]) -> list[Place]:
        """Those of the messages whose send is stored before them. Reads all of their conversations."""
        keys: dict[ConversationId, list[bytes]] = {}
        for one in messages:
            keys.setdefault(one.conversation_id, []).append(one.key)
        first: dict[Send, int] = {}
        for conversation, some in keys.items():
            whole = {"$gte": {"c": conversation, "q": 0}, "$lte": {"c": conversation, "q": MAX_SEQ}}
            for row in await self._messages.find({"_id": whole, "k": {"$in": some}}, ["k"]):
                first.setdefault((conversation, row["k"]), row["_id"]["q"])
        places = [(one.conversation_id, one.seq, one.key) for one in messages]
        return [(c, seq) for c, seq, key in places if first.get((c, key), seq) < seq]


def _message(document: Document) -> Stored:
    """What a damaged document lacks is empty."""
    place = document["_id"]
    fields = (document.get(name, b"") for name in "khm")
    return Stored(place["c"], place["q"], document.get("f", ""), *fields)


def _line(document: Document) -> Line:
    """What a damaged document lacks is empty."""
    place = document["_id"]
    return Line(place["u"], place["s"], document.get("c", ""), document.get("q", 0))
