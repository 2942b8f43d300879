"""The message store: every message of every conversation, for ever.

A document is `{_id: {c: conversation, q: seq}, f, k, h, m}`: the sender, the send's key and content hash (16
bytes each) and the encoded message. It is clustered by `_id`, so a page of history is a closed range.

Changes have documents here, too, for one counter numbers both. A change has its type in `t`, the seq of the
message that it changes in `g`, and in `m` what was asked for. `m` of a message never changes: what changed it
stands beside it (`infra/mongo/registers.py`). `n` has the users whom a message mentions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.errors import Unavailable
from domain.ids import MAX_SEQ, ConversationId, UserId
from infra.mongo.client import Database
from infra.mongo.rows import Place, Row, document_of
from infra.mongo.terms import Document, Write

Send = tuple[ConversationId, bytes]
"""A conversation and the key of a send within it."""

CARRIED = ("f", "m", "t", "g", "e", "x", "a", "p", "v")
"""The fields that say what an entry of this document carries now."""


RECORD_TYPE = "t"
"""The field with the type of what is no message. A message lacks it."""


class Stored(NamedTuple):
    """A message or a change, with the key and hash to which a repetition is compared.

    `type` is None for a message. `message` of a change is what was asked for, and `target` the message.
    """

    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    key: bytes
    content_hash: bytes
    message: bytes
    type: str | None = None
    target: int = 0
    mentions: Sequence[str] = ()


class Refusal(NamedTuple):
    """A message that was not put in. Its number is taken, or, if not, its send is already stored."""

    at: int
    number_taken: bool


def stored_of(document: Document) -> Stored:
    """Without the users whom it mentions: `m` names them."""
    place, d = document["_id"], document
    return Stored(place["c"], place["q"], d["f"], d["k"], d["h"], d["m"], d.get("t"), d.get("g", 0))


def _document(one: Stored) -> Document:
    document: Document = {
        "_id": {"c": one.conversation_id, "q": one.seq},
        "f": one.sender_id,
        "k": one.key,
        "h": one.content_hash,
        "m": one.message,
    }
    if one.type is not None:
        document |= {"t": one.type, "g": one.target}
    if one.mentions:
        document["n"] = list(one.mentions)
    return document


def seqs_between(conversation: ConversationId, low: int, high: int) -> Document:
    """Numbers from low to high, both included."""
    return {"_id": {"$gte": {"c": conversation, "q": low}, "$lte": {"c": conversation, "q": high}}}


def _newest_in(where: Document, fields: Sequence[str]) -> list[Document]:
    fields_asked = dict.fromkeys(fields, 1)
    return [{"$match": where}, {"$sort": {"_id": -1}}, {"$limit": 1}, {"$project": fields_asked}]


class MessageStore:
    """Durable (majority, journaled) when a verb returns.

    After Unavailable a write may have happened, unless the error says `nothing_done`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages = database.collection("messages")

    async def insert(self, messages: Sequence[Stored], row: Row | None = None) -> list[Refusal]:
        """Put in the row, and then all messages that the unique indexes allow. Returns the others.

        It is one write, and the row stands in front. So whatever ends it, no message is stored without the
        row. A sharded cluster would split the write. There the row is a write of its own, before the others.
        Without a row nobody spreads the messages.
        """
        documents = [_document(one) for one in messages]
        rows = [] if row is None else [document_of(row)]
        split = bool(rows) and await self._database.is_sharded()
        if split:
            await self._messages.insert(rows.pop())
        try:
            refused = await self._messages.insert_many([*rows, *documents], ordered=False)
        except Unavailable as error:
            error.nothing_done &= not split  # the row is there
            raise
        return [Refusal(index - len(rows), by_id) for index, by_id in refused if index >= len(rows)]

    async def by_key(self, sends: Iterable[Send]) -> dict[Send, Stored]:
        """The messages that earlier tries of these sends stored, in one read. Others are absent."""
        keys: dict[ConversationId, list[bytes]] = {}
        for conversation, key in sends:
            keys.setdefault(conversation, []).append(key)
        if not keys:
            return {}
        either = [{"_id.c": conversation, "k": {"$in": some}} for conversation, some in keys.items()]
        found = map(stored_of, await self._messages.find_any_order({"$or": either}))
        return {(one.conversation_id, one.key): one for one in found}

    async def last(self, conversation: ConversationId) -> int:
        """The seq of the newest document. 0 if there is none."""
        whole = seqs_between(conversation, 0, MAX_SEQ)
        found = await self._messages.find(whole, ["_id"], descending=True, limit=1)
        return int(found[0]["_id"]["q"]) if found else 0

    async def lasts(self, conversations: Iterable[ConversationId]) -> dict[ConversationId, int]:
        """The seq of the newest message of each, in one read. Conversations without messages are absent."""
        pipelines = [_newest_in(seqs_between(one, 0, MAX_SEQ), ["_id"]) for one in conversations]
        found = await self._messages.aggregate_each(pipelines)
        return {one["_id"]["c"]: one["_id"]["q"] for one in found}

    async def newest_in(
        self, ranges: Iterable[tuple[ConversationId, int, int]]
    ) -> dict[ConversationId, Document]:
        """The newest message in each range of seqs, with the fields of `page`, in few reads.

        A conversation is named in one range at most. It is absent if there is no message.
        """
        pipelines = [
            _newest_in({**seqs_between(*one), RECORD_TYPE: None}, [*CARRIED, "hid"]) for one in ranges
        ]
        return {one["_id"]["c"]: one for one in await self._messages.aggregate_each(pipelines)}

    async def page(
        self, conversation: ConversationId, low: int, high: int, limit: int, *, newest: bool
    ) -> list[Document]:
        """Up to `limit` messages with `low <= seq <= high`, from the newest or from the oldest on.

        It reads over the changes that stand between them.
        """
        where = {**seqs_between(conversation, low, high), "t": None}
        return await self._messages.find(where, [*CARRIED, "hid"], descending=newest, limit=limit)

    async def newest_each(
        self, user: UserId, ranges: Sequence[tuple[ConversationId, int, int]], limit: int
    ) -> list[Document]:
        """The newest `limit` messages of each range that the user has not hidden, the newest first."""
        pipelines = [
            [
                {"$match": {**seqs_between(c, low, high), "t": None, "hid": {"$ne": user}}},
                {"$sort": {"_id": -1}},
                {"$limit": limit},
                {"$project": dict.fromkeys(CARRIED, 1)},
            ]
            for c, low, high in ranges
            if low <= high
        ]
        return await self._messages.aggregate_each(pipelines) if pipelines else []

    async def documents(self, places: Iterable[Place], fields: Sequence[str]) -> dict[Place, Document]:
        """What stands at these places, in one read. A place without a document is absent."""
        ids = [{"c": conversation, "q": seq} for conversation, seq in places]
        found = await self._messages.find_each(ids, fields) if ids else []
        return {(d["_id"]["c"], d["_id"]["q"]): d for d in found}

    async def pinned(self, conversation: ConversationId) -> list[Document]:
        """The pinned messages, in any order. There are few."""
        return await self._messages.find_any_order(
            {"_id.c": conversation, "p.on": True, "x": None}, [*CARRIED, "hid"]
        )

    async def change_each(self, writes: Sequence[Write]) -> None:
        """Change documents beside what was sent. In order, each durable when it returns."""
        await self._messages.change_each(writes)

    async def change(self, where: Document, change: Document) -> bool:
        """Change one document. False if none matches."""
        return await self._messages.update(where, change) > 0

    async def untold(self, before_ms: int, limit: int) -> list[Place]:
        """Messages whose reactions changed before this time, and no record has told it. `limit` at most."""
        found = await self._messages.find_any_order({"ad": {"$lt": before_ms}}, ["_id"], limit)
        return [(d["_id"]["c"], d["_id"]["q"]) for d in found]
