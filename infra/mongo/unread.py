"""Unread messages, counted over the messages themselves. There is no counter that could go wrong.

The newest documents behind the read mark are looked at: one more than `MOST`, and `LONG_LOOK` if these are
full and hold too few unread ones, as among many own messages or many changes. So a count costs the same for
a conversation of any length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.conversations import Member
from domain.ids import ConversationId, UserId
from infra.mongo.client import Database
from infra.mongo.messages import seqs_between
from infra.mongo.terms import Document

MOST = 1_000
"""Unread messages are counted up to this, and then there are more."""

LONG_LOOK = 4_000


class Unread(NamedTuple):
    """How many messages of others are behind the read mark, and how many of them mention the user.

    `more`: there may be more than `unread`, which is `MOST` then, or all that `LONG_LOOK` documents of a stay
    hold.
    """

    unread: int
    more: bool
    mentions: int


class _Look(NamedTuple):
    """A range of one conversation. `at` is the place of the conversation among those asked for."""

    at: int
    where: Document


class UnreadCounts:
    """Counts up to `most`, in up to `long_look` documents of each stay. Raises Unavailable."""

    def __init__(self, database: Database, most: int = MOST, long_look: int = LONG_LOOK) -> None:
        self._messages = database.collection("messages")
        self._most = most
        self._long_look = long_look

    async def of(self, user: UserId, asked: Sequence[tuple[ConversationId, Member]]) -> list[Unread]:
        """The counts of all of these conversations, in two reads; a third if a long look is needed.

        Counts within the member's stays, behind the read mark and what was cleared. Own messages, changes,
        and messages that are recalled or hidden do not count.
        """
        looks = [
            _Look(at, where)
            for at, (conversation, member) in enumerate(asked)
            for where in _ranges(conversation, member)
        ]
        most, look = self._most, self._most + 1
        seen, unread = await self._counted(user, looks, look)
        long = [one for one in looks if seen.get(one.at, 0) >= look and unread.get(one.at, 0) <= most]
        full: set[int] = {at for at, count in unread.items() if count > most}
        if long:
            seen_more, unread_more = await self._counted(user, long, self._long_look)
            unread |= unread_more
            full |= {at for at, count in seen_more.items() if count >= self._long_look}
        mentions = await self._mentions(user, looks)
        return [
            Unread(
                min(unread.get(at, 0), most),
                at in full or unread.get(at, 0) > most,
                min(mentions.get(at, 0), most),
            )
            for at in range(len(asked))
        ]

    async def _counted(
        self, user: UserId, looks: Sequence[_Look], limit: int
    ) -> tuple[dict[int, int], dict[int, int]]:
        """For each place: how many documents were looked at, in the stay with the most, and how many of all
        stays are unread.
        """
        counts = {
            "$and": [
                {"$not": ["$t"]},
                {"$not": ["$x"]},
                {"$ne": ["$f", {"$literal": user}]},
                {"$not": [{"$in": [{"$literal": user}, {"$ifNull": ["$hid", []]}]}]},
            ]
        }
        unread: Document = {"$sum": {"$cond": [counts, 1, 0]}}
        pipelines = [
            [
                {"$match": look.where},
                {"$sort": {"_id": -1}},
                {"$limit": limit},
                {"$group": {"_id": {"$literal": look.at}, "seen": {"$sum": 1}, "unread": unread}},
            ]
            for look in looks
        ]
        found = await self._messages.aggregate_each(pipelines) if looks else []
        seen: dict[int, int] = {}
        for one in found:
            seen[one["_id"]] = max(seen.get(one["_id"], 0), one["seen"])
        return seen, _summed(found, "unread")

    async def _mentions(self, user: UserId, looks: Sequence[_Look]) -> dict[int, int]:
        pipelines: list[list[Any]] = []
        for at, where in looks:
            low, high = where["_id"]["$gte"], where["_id"]["$lte"]
            named = {
                "_id.c": low["c"],
                "n": {"$in": [user, "all"]},
                "_id.q": {"$gte": low["q"], "$lte": high["q"]},
                "f": {"$ne": user},
                "hid": {"$ne": user},
            }
            count = {"$group": {"_id": {"$literal": at}, "mentions": {"$sum": 1}}}
            pipelines.append([{"$match": named}, {"$limit": self._most}, count])
        found = await self._messages.aggregate_each(pipelines) if looks else []
        return _summed(found, "mentions")


def _ranges(conversation: ConversationId, member: Member) -> Iterable[Document]:
    """What lies behind the read mark and what was cleared, within each stay."""
    after = max(member.own.read_seq, member.own.cleared_seq)
    for window in member.windows:
        low, high = max(window.joined, after + 1), window.left - 1
        if low <= high:
            yield seqs_between(conversation, low, high)


def _summed(found: Iterable[Document], name: str) -> dict[int, int]:
    sums: dict[int, int] = {}
    for one in found:
        sums[one["_id"]] = sums.get(one["_id"], 0) + one[name]
    return sums
