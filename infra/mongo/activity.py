"""Where a user's conversations stand in the user's timeline.

A conversation stands where its newest message does: of its lines up to a horizon, that of the message with
the highest seq. Lines never change, so the answer for one horizon is always the same. A line does not say
whether it is a message: the document in `messages` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.ids import MAX_SEQ, ConversationId, UserId, owner_of
from infra.mongo.client import Database
from infra.mongo.messages import RECORD_TYPE
from infra.mongo.terms import Document

LOOKS = (1, 32, 512)
"""How many lines of a conversation one read looks at. More reads follow until one of them is a message."""


class Newest(NamedTuple):
    """A conversation, the seq of its newest message, and the inbox seq at which that message stands."""

    conversation_id: ConversationId
    seq: int
    inbox_seq: int


class Window(NamedTuple):
    """Consecutive lines, all behind the inbox seq `since`: the highest inbox seq of each conversation."""

    since: int
    highest: dict[ConversationId, int]


class Empty(NamedTuple):
    """A conversation without messages, and when it was created."""

    conversation_id: ConversationId
    created_at_ms: int


class Census(NamedTuple):
    """All conversations of a user, as far as somebody asked.

    `unsure` are those whose newest line is no message, or lies beyond the horizon.
    """

    placed: list[Newest]
    unsure: list[ConversationId]
    empty: list[Empty]


class ActivityStore:
    """Reads only. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._timelines = database.collection("timelines")
        self._members = database.collection("members")

    async def window(self, user: UserId, below: int, count: int) -> Window:
        """The `count` lines before this inbox seq, or as many as there are."""
        lines = {"_id": {"$gt": {"u": user, "s": 0}, "$lt": {"u": user, "s": below}}}
        each = {"_id": "$c", "high": {"$max": "$_id.s"}, "low": {"$min": "$_id.s"}}
        found = await self._timelines.aggregate(
            [{"$match": lines}, {"$sort": {"_id": -1}}, {"$limit": count}, {"$group": each}]
        )
        since = min((one["low"] for one in found), default=1) - 1
        highest = {one["_id"]: one["high"] for one in found if owner_of(one["_id"]) is None}
        return Window(since, highest)

    async def newest(
        self, user: UserId, conversations: Iterable[ConversationId], horizon: int
    ) -> dict[ConversationId, Newest]:
        """Where these conversations stand, in few reads: one seek in an index for each.

        A conversation without a message up to the horizon is absent. Where the newest line is no message,
        more lines are read, as `LOOKS` says, until one is.
        """
        found: dict[ConversationId, Newest] = {}
        below = dict.fromkeys(conversations, MAX_SEQ + 1)
        looks = iter(LOOKS)
        count = next(looks)
        while below:
            lines: dict[ConversationId, list[Document]] = {}
            for one in await self._timelines.aggregate_each(
                [_lines_of(user, c, seq, horizon, count) for c, seq in below.items()]
            ):
                lines.setdefault(one["c"], []).append(one)
            below = {c: some[-1]["q"] for c, some in lines.items() if len(some) == count}
            for conversation, some in lines.items():
                line = next((one for one in some if "type" not in one), None)
                if line is not None:
                    found[conversation] = Newest(conversation, line["q"], line["_id"]["s"])
                    below.pop(conversation, None)
            count = next(looks, count)
        return found

    async def has_more_than(self, user: UserId, count: int) -> bool:
        """Whether the user is or was in more than so many conversations."""
        return await self._members.count({"_id.u": user}, count + 1) > count

    async def census(
        self, user: UserId, horizon: int, below: int, below_empty: Empty | None, limit: int
    ) -> Census:
        """The first `limit` conversations that stand below this inbox seq, and all that are unsure.

        Besides, of those without a line, the first `limit` behind `below_empty`: the newest first, then by id
        backwards.

        It looks at each conversation of the user once, whatever the length of the timeline.
        """
        newest_lines = [  # MongoDB answers this by one seek for each conversation
            {"$match": {"_id.u": user}},
            {"$sort": {"c": -1, "q": -1}},
            {"$group": {"_id": "$c", "q": {"$first": "$q"}, "s": {"$first": "$_id.s"}}},
        ]
        each = {"mine": {"$max": "$mine"}, "q": {"$max": "$q"}, "s": {"$max": "$s"}}
        is_message = {"$eq": [{"$type": f"$record.{RECORD_TYPE}"}, "missing"]}
        behind: list[Document] = []
        if below_empty is not None:
            conversation, at = below_empty
            behind = [{"$match": {"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": conversation}}]}}]
        (found,) = await self._members.aggregate(
            [
                {"$match": {"_id.u": user}},
                {"$project": {"_id": "$_id.c", "mine": {"$literal": 1}}},
                {"$unionWith": {"coll": "timelines", "pipeline": newest_lines}},
                {"$group": {"_id": "$_id", **each}},
                {"$match": {"mine": 1}},
                {"$addFields": {"place": {"c": "$_id", "q": "$q"}}},
                *_with_record(),
                {"$project": {"q": 1, "s": 1, "sure": {"$and": [{"$lte": ["$s", horizon]}, is_message]}}},
                {
                    "$facet": {
                        "placed": [
                            {"$match": {"s": {"$ne": None, "$lt": below}, "sure": True}},
                            {"$sort": {"s": -1}},
                            {"$limit": limit},
                        ],
                        "unsure": [{"$match": {"s": {"$ne": None}, "sure": False}}, {"$project": {"_id": 1}}],
                        "empty": [
                            {"$match": {"s": None}},
                            *_with_created(),
                            *behind,
                            {"$sort": {"at": -1, "_id": -1}},
                            {"$limit": limit},
                        ],
                    }
                },
            ]
        )
        return Census(
            [Newest(one["_id"], one["q"], one["s"]) for one in found["placed"]],
            [one["_id"] for one in found["unsure"]],
            [Empty(one["_id"], one["at"]) for one in found["empty"]],
        )


def _lines_of(user: UserId, conversation: ConversationId, below: int, horizon: int, count: int) -> list[Any]:
    """The newest lines of a conversation up to the horizon, with the type of what is no message.

    The limit stands where MongoDB's index scan ends with it.
    """
    where = {"_id.u": user, "c": conversation, "q": {"$lt": below}, "_id.s": {"$lte": horizon}}
    return [
        {"$match": where},
        {"$sort": {"q": -1}},
        {"$limit": count},
        {"$addFields": {"place": {"c": "$c", "q": "$q"}}},
        *_with_record(),
        {"$project": {"c": 1, "q": 1, "type": f"$record.{RECORD_TYPE}"}},
    ]


def _with_record() -> Sequence[dict[str, Any]]:
    """The document in `messages` at `place`, as `record`."""
    return (
        {"$lookup": {"from": "messages", "localField": "place", "foreignField": "_id", "as": "record"}},
        {"$addFields": {"record": {"$first": "$record"}}},
    )


def _with_created() -> Sequence[dict[str, Any]]:
    """When the conversation was created, as `at`. Drops what is no conversation."""
    return (
        {"$lookup": {"from": "conversations", "localField": "_id", "foreignField": "_id", "as": "found"}},
        {"$unwind": "$found"},
        {"$project": {"at": "$found.at"}},
    )
