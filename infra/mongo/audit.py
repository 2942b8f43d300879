"""Reads for a check of the whole database: page by page, in the order of the ids, and nothing is written.

A page holds at most `LINES` lines or `MESSAGES` messages, however large the database is. What is written
meanwhile may be on a later page or on none. A damaged document breaks nothing: what it lacks is empty, and
one that is no use without it is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import NamedTuple, TypeGuard

from domain.conversations import Member
from domain.ids import MAX_SEQ, ConversationId, DeviceId, UserId
from infra.mongo.accounts import AccountStore
from infra.mongo.client import Database
from infra.mongo.conversations import all_members, member_of
from infra.mongo.indexes import INDEXES
from infra.mongo.messages import Send, Stored
from infra.mongo.rows import ROWS, Place, is_row
from infra.mongo.shapes import misfit
from infra.mongo.terms import Document
from infra.mongo.timelines import Line

LINES = 1000
MESSAGES = 200
DEVICES = 1000
BRANCHES = 200
"""The most alternatives of one query."""

Tell = Callable[[str], None]
"""Is called with a sentence for each document that is not of the shape of its collection."""

NAMED_BY_TEXT = ("users", "conversations")
"""The collections whose `_id` is a text. The others have an object."""

COLLECTIONS = ("users", "devices", "conversations", "members", "messages", "timelines")


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

    async def messages(self, tell: Tell | None = None) -> AsyncIterator[list[Stored]]:
        """All messages, by conversation and seq, without the rows of the outbox that stand before them."""
        async for page in self._pages("messages", MESSAGES, tell):
            yield [m for document in page if not is_row(document) and (m := _message(document)) is not None]

    async def lines(self, tell: Tell | None = None) -> AsyncIterator[list[Line]]:
        """All lines of all timelines, by user and inbox seq."""
        async for page in self._pages("timelines", LINES, tell):
            yield [one for one in map(_line, page) if one is not None]

    async def devices(self, tell: Tell | None = None) -> AsyncIterator[list[tuple[UserId, DeviceId, int]]]:
        """All devices with the cursor of each."""
        async for page in self._pages("devices", DEVICES, tell):
            yield [(d["_id"]["u"], d["_id"]["d"], d["cursor"]) for d in _whole("devices", page)]

    async def conversations(self, tell: Tell) -> AsyncIterator[list[Document]]:
        """All conversations, as documents of the right shape."""
        async for page in self._pages("conversations", BRANCHES, tell):
            yield _whole("conversations", page)

    async def stays(self, tell: Tell) -> AsyncIterator[list[Document]]:
        """All members of all conversations, as documents of the right shape."""
        async for page in self._pages("members", LINES, tell):
            yield _whole("members", page)

    async def shapes(self, collection: str, tell: Tell) -> None:
        """Read a collection only for the shape of its documents."""
        async for _ in self._pages(collection, LINES, tell):
            pass

    async def _pages(self, name: str, limit: int, tell: Tell | None) -> AsyncIterator[list[Document]]:
        """A query looks only at ids of one type. So behind ids of another type it begins again with those
        that the collection ought to have.
        """
        collection = self._database.collection(name)
        usual: object = "" if name in NAMED_BY_TEXT else {}
        where: Document = {}
        begun = False
        while True:
            page = await collection.find(where, limit=limit)
            if page:
                for document in page if tell else ():
                    _check(name, document, tell)
                yield page
                where = {"_id": {"$gt": page[-1]["_id"]}}
                begun = begun or isinstance(page[-1]["_id"], type(usual))
            elif where and not begun:
                where, begun = {"_id": {"$gte": usual}}, True
            else:
                return

    async def counts(self) -> dict[str, int]:
        """Collection → its own count of its documents. The rows of the outbox are counted apart."""
        counts = {name: await self._database.collection(name).estimate() for name in COLLECTIONS}
        rows = await self.waiting()
        return {**counts, "messages": max(0, counts["messages"] - rows), "outbox": rows}

    async def waiting(self) -> int:
        """The rows of the outbox."""
        return await self._messages.count({"_id": ROWS})

    async def lacking_indexes(self) -> list[str]:
        """The unique indexes that are missing or not unique: `collection.name`."""
        lacking = []
        for index in INDEXES:
            present = await self._database.collection(index.collection).indexes()
            if index.unique and not present.get(index.name, {}).get("unique"):
                lacking.append(f"{index.collection}.{index.name}")
        return lacking

    async def stored(self, places: Iterable[Place]) -> dict[Place, int]:
        """Those of the places that are taken, each with the seq of the message that it changes, or 0."""
        ids = [{"c": conversation, "q": seq} for conversation, seq in places]
        found = await self._messages.find_each(ids, ["g"]) if ids else []
        return {(document["_id"]["c"], document["_id"]["q"]): document.get("g", 0) for document in found}

    async def announced(self, places: Collection[Place]) -> set[Place]:
        """Those of the places that a row of the outbox names. Reads the whole outbox once."""
        naming = {"_id": ROWS, "r": {"$in": [list(place) for place in places]}}
        rows = await self._messages.find_any_order(naming, ["r"])
        named = [place for row in rows if isinstance(row.get("r"), list) for place in row["r"]]
        return {(one[0], one[1]) for one in named if isinstance(one, list) and len(one) == 2} & set(places)

    async def existing(self, conversations: Iterable[ConversationId]) -> set[ConversationId]:
        """Those of the conversations that exist."""
        found = await self._conversations.find_any_order({"_id": {"$in": list(conversations)}}, ["_id"])
        return {document["_id"] for document in found}

    async def unknown(self, users: Iterable[UserId]) -> set[UserId]:
        """Those of the users that do not exist."""
        return await AccountStore(self._database).unknown(users)

    async def lists(self, conversations: Sequence[ConversationId]) -> dict[ConversationId, list[Document]]:
        """The documents of the members of at most `BRANCHES` conversations, damaged ones too."""
        lists: dict[ConversationId, list[Document]] = {one: [] for one in conversations}
        either = [all_members(one) for one in conversations]
        for row in await self._members.find_any_order({"$or": either}) if either else ():
            lists[row["_id"]["c"]].append(row)
        return lists

    async def members(self, conversation: ConversationId) -> dict[UserId, Member]:
        """The members as written. A join that was begun and has no number holds nothing yet."""
        rows = await self._members.find_any_order(all_members(conversation))
        return {row["_id"]["u"]: member_of(row) for row in _whole("members", rows)}

    async def memberships(self, user: UserId) -> dict[ConversationId, Member]:
        """The conversations that the user is or was in, as written."""
        rows = await self._members.find_any_order({"_id.u": user})
        return {row["_id"]["c"]: member_of(row) for row in _whole("members", rows)}

    async def received(self, stretches: Sequence[Stretch]) -> list[Line]:
        """The lines that stand in these stretches, of which there are at most `BRANCHES`."""
        either = [
            {"_id.u": one.user_id, "c": one.conversation_id, "q": {"$gte": one.low, "$lte": one.high}}
            for one in stretches
        ]
        found = await self._timelines.find_any_order({"$or": either}, ["c", "q"])
        return [one for one in map(_line, found) if one is not None]

    async def present(self, user: UserId, low: int, high: int) -> set[int]:
        """Those of the inbox numbers `low … high` that the user's timeline has; looks at most at `LINES`."""
        between = {"$gte": {"u": user, "s": low}, "$lte": {"u": user, "s": high}}
        found = await self._timelines.find({"_id": between}, ["_id"], limit=LINES)
        return {document["_id"]["s"] for document in found}

    async def repeated(self, messages: Sequence[Stored]) -> list[Place]:
        """Those of the messages whose send is stored before them. Reads all of their conversations."""
        keys: dict[ConversationId, list[bytes]] = {}
        for one in messages:
            if one.key:
                keys.setdefault(one.conversation_id, []).append(one.key)
        first: dict[Send, int] = {}
        for conversation, some in keys.items():
            whole = {"$gte": {"c": conversation, "q": 0}, "$lte": {"c": conversation, "q": MAX_SEQ}}
            for row in await self._messages.find({"_id": whole, "k": {"$in": some}}, ["k"]):
                first.setdefault((conversation, row["k"]), row["_id"]["q"])
        places = [(one.conversation_id, one.seq, one.key) for one in messages]
        return [(c, seq) for c, seq, key in places if first.get((c, key), seq) < seq]


def _check(collection: str, document: Document, tell: Tell | None) -> None:
    wrong = misfit("outbox" if collection == "messages" and is_row(document) else collection, document)
    if wrong is not None and tell is not None:
        tell(f"The document {document.get('_id')!r} of {collection} is not as Ringpost writes it: {wrong}.")


def _whole(collection: str, documents: Iterable[Document]) -> list[Document]:
    """Those of the right shape."""
    return [document for document in documents if misfit(collection, document) is None]


def _message(document: Document) -> Stored | None:
    """What a damaged document lacks is empty. None if it does not say where the message stands."""
    place = document["_id"]
    if not isinstance(place, dict) or not _is_text(place.get("c")) or not _is_number(place.get("q")):
        return None
    sender = document.get("f")
    key, content, message = (
        value if isinstance(value := document.get(name), bytes) else b"" for name in "khm"
    )
    sent_by = sender if _is_text(sender) else UserId("")
    type_, target = document.get("t"), document.get("g", 0)
    target = int(target) if _is_number(target) else 0
    return Stored(place["c"], int(place["q"]), sent_by, key, content, message, type_, target)


def _line(document: Document) -> Line | None:
    """What a damaged document lacks is empty. None if it does not say where the line stands."""
    place, conversation, seq = document["_id"], document.get("c"), document.get("q")
    if not isinstance(place, dict) or not _is_text(place.get("u")) or not _is_number(place.get("s")):
        return None
    named = (conversation if _is_text(conversation) else "", int(seq) if _is_number(seq) else 0)
    return Line(place["u"], int(place["s"]), ConversationId(named[0]), named[1])


def _is_text(value: object) -> TypeGuard[UserId]:
    return isinstance(value, str)


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
