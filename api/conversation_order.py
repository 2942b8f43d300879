"""The order in which a user's conversations are listed: newest activity first, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.errors import Unavailable
from domain.ids import ConversationId, UserId
from infra.mongo.activity import ActivityStore, Empty, Newest
from infra.mongo.conversations import ConversationStore
from infra.mongo.timelines import TimelineStore
from infra.redis.recent import MOST_RECENT, Known, Recent

WINDOWS = (200, 2_000, 20_000)
"""Lines of the timeline that a page reads, one window behind the other, before it asks for the census."""

FEW = 1_000
"""A user with so many conversations or fewer gets the census after the first window: it costs less."""

MISSED_LINES = 2_000
"""The most lines that Redis may have missed. With more of them it counts as lost."""

SEEKS = 1_000
"""The most conversations that a page looks up one by one before it asks for the census."""

SEEKS_AT_ONCE = 128

CENSUSES_AT_ONCE = 4
"""Users whose conversations are all looked at, at the same time. Others wait in order."""


class Listed(NamedTuple):
    """A conversation in the list, and the cursor of a page that begins behind it.

    `seq` is that of its newest message up to the horizon; 0 if there is none.
    """

    conversation_id: ConversationId
    seq: int
    cursor: str


class OrderPage(NamedTuple):
    """A page, and the cursor of the next one. None: this is the last page.

    `horizon` is the head of the inbox at the first page of the list.
    """

    listed: list[Listed]
    cursor: str | None
    horizon: int


class _Start(NamedTuple):
    """Where a page begins: below the inbox seq `below`, or behind a conversation without messages.

    `horizon` is the head of the inbox at the first page. What came later does not count.
    """

    horizon: int
    below: int
    empty: Empty | None = None


@dataclass
class _Search:
    """What a page has read of the timeline: all lines behind `since`, below where the page begins.

    `highest` is the highest line of each conversation there. The conversation stands at that line, below it,
    or above the beginning of the page. `looked_up` says where some of them stand.
    """

    start: _Start
    since: int
    highest: dict[ConversationId, int] = field(default_factory=dict)
    looked_up: dict[ConversationId, Newest | None] = field(default_factory=dict)
    windows: int = 0

    def add(self, since: int, highest: Mapping[ConversationId, int]) -> None:
        """More lines were read, and all behind `since` are now."""
        self.since = since
        for conversation, inbox_seq in highest.items():
            self.highest[conversation] = max(inbox_seq, self.highest.get(conversation, 0))

    def waiting(self) -> list[ConversationId]:
        """Who may stand here and was not looked up, the highest first."""
        waiting = self.highest.keys() - self.looked_up.keys()
        return sorted(waiting, key=self.highest.__getitem__, reverse=True)

    def certain(self, waiting: Sequence[ConversationId]) -> list[Newest]:
        """Who stands above all that wait and all that was not read, in order."""
        floor = self.highest[waiting[0]] if waiting else self.since
        found = [one for one in self.looked_up.values() if one and floor < one.inbox_seq < self.start.below]
        return sorted(found, key=_inbox_seq, reverse=True)

    @property
    def known(self) -> Known:
        """For the next first page."""
        newest = dict(self.highest)
        for conversation, one in self.looked_up.items():
            newest[conversation] = one.inbox_seq if one else 0
        within = {c: inbox_seq for c, inbox_seq in newest.items() if inbox_seq > self.since}
        return Known(self.since, self.start.horizon, within)


class ConversationOrder:
    """A conversation stands at the inbox seq of its newest message. Those without messages come last, the
    newest first. Raises Unavailable.

    All pages of a list show the order that was there at its first page. So each conversation that existed
    then is on exactly one page, whatever happens meanwhile.

    The first page comes from Redis, which knows the newest conversations (`Recent`). All others, and what
    Redis does not know, come from the timeline read backwards. If that takes too many lines, because a few
    conversations have most of them, the page comes from the census: one seek for each conversation.
    """

    def __init__(
        self,
        activity: ActivityStore,
        timelines: TimelineStore,
        conversations: ConversationStore,
        recent: Recent,
    ) -> None:
        self._activity = activity
        self._timelines = timelines
        self._conversations = conversations
        self._recent = recent
        self._censuses = asyncio.Semaphore(CENSUSES_AT_ONCE)

    async def page(self, user: UserId, cursor: str | None, limit: int) -> OrderPage:
        """Up to `limit` conversations. The cursor is that of an earlier page; None begins a list."""
        if cursor is None:
            return await self._first_page(user, limit)
        start = _start_of(cursor)
        if start.empty is None:
            search = _Search(start, start.below - 1)
            placed = await self._by_lines(user, search, limit)
            if placed is not None:
                return _page(start, placed, [], limit)
        return _page(start, *await self._by_census(user, start, limit), limit)

    async def _first_page(self, user: UserId, limit: int) -> OrderPage:
        head, known = await asyncio.gather(self._timelines.head(user), self._known(user))
        head = max(head, known.upto if known else 0)
        start = _Start(head, head + 1)
        search = _Search(start, head)
        if known is not None and head - known.upto <= MISSED_LINES:
            search.add(known.since, known.newest)
            if known.upto < head:
                missed = await self._activity.window(user, head + 1, head - known.upto)
                search.add(known.since, missed.highest)
        placed = await self._by_lines(user, search, limit)
        if placed is not None:
            if known is None or (search.since, head) != (known.since, known.upto):
                await self._keep(user, search.known)
            return _page(start, placed, [], limit)
        placed, empty = await self._by_census(user, start, max(limit, MOST_RECENT))
        if known is None or (known.since, known.upto) != (0, head):
            await self._keep(user, _known_of(placed, head))
        return _page(start, placed, empty, limit)

    async def _known(self, user: UserId) -> Known | None:
        try:
            return await self._recent.read(user)
        except Unavailable:
            return None

    async def _keep(self, user: UserId, known: Known) -> None:
        try:
            await self._recent.keep(user, known)
        except Unavailable:
            return  # the next first page comes from the timeline again

    async def _by_lines(self, user: UserId, search: _Search, limit: int) -> list[Newest] | None:
        """More than `limit` conversations, in order. None if the census is to tell.

        That is so if there are not so many with messages, or if they would take too many lines.
        """
        windows = list(WINDOWS)
        while True:
            if search.since == 0 and len(search.highest) <= limit:
                return None
            placed = await self._verified(user, search, limit)
            if len(placed) > limit:
                return placed
            if search.since == 0 or not windows or len(search.looked_up) >= SEEKS:
                return None
            if search.windows and not await self._activity.has_more_than(user, FEW):
                return None
            window = await self._activity.window(user, search.since + 1, windows.pop(0))
            search.add(window.since, window.highest)
            search.windows += 1

    async def _verified(self, user: UserId, search: _Search, limit: int) -> list[Newest]:
        """Look up candidates, the likeliest first, until more than `limit` are certain or none is left."""
        count = limit + 1
        while True:
            waiting = search.waiting()
            placed = search.certain(waiting)
            if len(placed) > limit or not waiting or len(search.looked_up) >= SEEKS:
                return placed
            some = waiting[: min(count, SEEKS_AT_ONCE)]
            found = await self._activity.newest(user, some, search.start.horizon)
            search.looked_up.update({conversation: found.get(conversation) for conversation in some})
            count *= 2

    async def _by_census(self, user: UserId, start: _Start, limit: int) -> tuple[list[Newest], list[Empty]]:
        """More than `limit` conversations, or all that are left: those with messages, then those without."""
        async with self._censuses:
            census = await self._activity.census(user, start.horizon, start.below, start.empty, limit + 1)
            found = await self._activity.newest(user, census.unsure, start.horizon)
        placed = [*census.placed, *(one for one in found.values() if one.inbox_seq < start.below)]
        without = [conversation for conversation in census.unsure if conversation not in found]
        made = await self._conversations.get_many(without) if without else {}
        empty = [*census.empty, *(Empty(c, one.created_at_ms) for c, one in made.items())]
        if start.empty is not None:
            empty = [one for one in empty if _age(one) < _age(start.empty)]
        return sorted(placed, key=_inbox_seq, reverse=True), sorted(empty, key=_age, reverse=True)


def _inbox_seq(one: Newest) -> int:
    return one.inbox_seq


def _age(one: Empty) -> tuple[int, ConversationId]:
    return one.created_at_ms, one.conversation_id


def _known_of(placed: Sequence[Newest], horizon: int) -> Known:
    """The newest of these, for the next first page. They are all that there are, or more than a set holds."""
    newest = placed[:MOST_RECENT]
    since = placed[MOST_RECENT].inbox_seq if len(placed) > MOST_RECENT else 0
    return Known(since, horizon, {one.conversation_id: one.inbox_seq for one in newest})


def _page(start: _Start, placed: Sequence[Newest], empty: Sequence[Empty], limit: int) -> OrderPage:
    """A page of these: more than `limit` if there is a next page."""
    listed = [Listed(c, seq, f"{start.horizon}.{inbox_seq}") for c, seq, inbox_seq in placed[: limit + 1]]
    listed += [Listed(c, 0, f"{start.horizon}.{at}~{c}") for c, at in empty[: limit + 1]]
    more = len(listed) > limit
    return OrderPage(listed[:limit], listed[limit - 1].cursor if more else None, start.horizon)


def _start_of(cursor: str) -> _Start:
    numbers, _, conversation = cursor.partition("~")
    horizon, place = map(int, numbers.split("."))
    if conversation:
        return _Start(horizon, 1, Empty(ConversationId(conversation), place))
    return _Start(horizon, min(place, horizon + 1))
