"""The message store: every message of every conversation, for ever.

A document is `{_id: {c: conversation, q: seq}, f, k, h, m}`: the sender, the send's key and content hash (16
bytes each) and the encoded message. It is clustered by `_id`, so a page of history is a closed range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.errors import Unavailable
from domain.ids import MAX_SEQ, ConversationId, UserId
from infra.mongo.client import Database
from infra.mongo.rows import Place, Row, document_of
from infra.mongo.terms import Document

Send = tuple[ConversationId, bytes]
"""A conversation and the key of a send within it."""

COUNT_LIMIT = 10_000


class Stored(NamedTuple):
    """A message, with the key and hash to which a repetition is compared."""

    conversation_id: ConversationId
    seq: int
    sender_id: UserId
    key: bytes
    content_hash: bytes
    message: bytes


class Refusal(NamedTuple):
    """A message that was not put in. Its number is taken, or, if not, its send is already stored."""

    at: int
    number_taken: bool


def _stored(document: Document) -> Stored:
    place = document["_id"]
    return Stored(place["c"], place["q"], document["f"], document["k"], document["h"], document["m"])


def _range(conversation: ConversationId, low: int, high: int) -> Document:
    """Numbers from low to high, both included."""
    return {"_id": {"$gte": {"c": conversation, "q": low}, "$lte": {"c": conversation, "q": high}}}


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
        documents = [
            {
                "_id": {"c": m.conversation_id, "q": m.seq},
                "f": m.sender_id,
                "k": m.key,
                "h": m.content_hash,
                "m": m.message,
            }
            for m in messages
        ]
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
        found = map(_stored, await self._messages.find_any_order({"$or": either}))
        return {(one.conversation_id, one.key): one for one in found}

    async def by_place(self, places: Iterable[Place]) -> dict[Place, bytes]:
        """The encoded messages at these places. A place without one is absent."""
        ids = [{"c": conversation, "q": seq} for conversation, seq in places]
        if not ids:
            return {}
        found = await self._messages.find_each(ids, ["m"])
        return {(d["_id"]["c"], d["_id"]["q"]): d["m"] for d in found}

    async def last(self, conversation: ConversationId, at_most: int = MAX_SEQ) -> tuple[int, bytes] | None:
        """Seq and bytes of the newest message with `seq <= at_most`."""
        found = await self._messages.find(_range(conversation, 0, at_most), ["m"], descending=True, limit=1)
        return (found[0]["_id"]["q"], found[0]["m"]) if found else None

    async def lasts(self, conversations: Iterable[ConversationId]) -> dict[ConversationId, int]:
        """The seq of the newest message of each, in one read. Conversations without messages are absent."""
        found = await self._messages.newest_each([_range(one, 0, MAX_SEQ) for one in conversations])
        return {one["c"]: one["q"] for one in found}

    async def page(
        self, conversation: ConversationId, low: int, high: int, limit: int, *, newest: bool
    ) -> list[tuple[int, bytes]]:
        """Up to `limit` messages with `low <= seq <= high`, from the newest or from the oldest on."""
        found = await self._messages.find(
            _range(conversation, low, high), ["m"], descending=newest, limit=limit
        )
        return [(document["_id"]["q"], document["m"]) for document in found]

    async def count_from_others(self, conversation: ConversationId, user: UserId, low: int, high: int) -> int:
        """How many messages in `low <= seq <= high` are not the user's own. It counts up to `COUNT_LIMIT`."""
        if low > high:
            return 0
        return await self._messages.count(
            {**_range(conversation, low, high), "f": {"$ne": user}}, COUNT_LIMIT
        )
