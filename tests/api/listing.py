"""One user's inbox on the real stores, and the list of conversations that it should give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from api.conversation_order import ConversationOrder, Listed
from domain.conversations import Conversation
from domain.entries import Entry
from domain.errors import Unavailable
from domain.ids import ConversationId, UserId
from infra.mongo.activity import ActivityStore
from infra.mongo.timelines import Line
from infra.redis.recent import Recent
from infra.redis.ring import Ring
from infra.settings import RingSettings
from tests.builders import Stores, stored

_users = itertools.count(1)
_groups = itertools.count(1)


class AwayRecent(Recent):
    """Redis does not answer."""

    async def read(self, user):
        raise Unavailable("away")

    async def keep(self, user, known):
        raise Unavailable("away")


def group_id(number: int) -> ConversationId:
    """Without order in the letters, so that the order of ids is not that of creation."""
    digits = f"{number * 7_919 % 100_000:05d}".translate(str.maketrans("0123456789", "abcdefghij"))
    return ConversationId(f"g:{digits}{'a' * 11}")


class InboxTown:
    """Groups of one user. What is written to the stores is remembered in `lines`."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.user = UserId(f"u{next(_users)}")
        self.recent = Recent(stores.redis, stores.keys, 600)
        self.ring = Ring(stores.redis, stores.keys, RingSettings(capacity=5))
        self.order = self.order_with(self.recent)
        self.made: dict[ConversationId, int] = {}
        self.lines: list[tuple[ConversationId, int, str]] = []
        self.seqs: dict[ConversationId, int] = {}

    def order_with(self, recent: Recent) -> ConversationOrder:
        stores = self.stores
        return ConversationOrder(
            ActivityStore(stores.database), stores.timelines, stores.conversations, recent
        )

    async def found(self, created_at_ms: int | None = None) -> ConversationId:
        number = next(_groups)
        conversation = group_id(number)
        self.made[conversation] = number // 2 if created_at_ms is None else created_at_ms
        made = Conversation(conversation, "group", None, self.made[conversation])
        assert await self.stores.conversations.create(made, [self.user])
        return conversation

    async def store(self, conversation: ConversationId, kind: str = "message", skip: int = 0) -> int:
        """A record of this kind in the store. `skip` leaves numbers free for those that come late."""
        seq = self.seqs[conversation] = self.seqs.get(conversation, 0) + 1 + skip
        await self.store_at(conversation, seq, kind)
        return seq

    async def store_at(self, conversation: ConversationId, seq: int, kind: str = "message") -> None:
        one = stored(conversation, seq)
        if kind != "message":
            one = one._replace(type=kind, target=1)
        assert await self.stores.messages.insert([one]) == []

    async def arrive(self, *places: tuple[ConversationId, int, str], dies: bool = False) -> None:
        """As inbox does it: into the timeline, then into the ring. `dies`: not into the ring."""
        first = len(self.lines) + 1
        self.lines += places
        lines = [Line(self.user, first + at, c, seq) for at, (c, seq, _) in enumerate(places)]
        assert await self.stores.timelines.append(lines) == len(lines)
        if not dies:
            await self.ring.append([(self.user, self.entries(first))])

    def entries(self, first: int) -> list[Entry]:
        return [
            Entry(at, stored(c, seq).message if kind == "message" else b'{"type":"edit","edit":{}}')
            for at, (c, seq, kind) in enumerate(self.lines[first - 1 :], first)
        ]

    async def send(self, conversation: ConversationId, kind: str = "message", *, dies: bool = False) -> None:
        await self.arrive((conversation, await self.store(conversation, kind), kind), dies=dies)

    async def leave(self, conversation: ConversationId) -> None:
        """The user's stay ends with what has come so far. Nothing of this is in the order."""
        store = self.stores.conversations
        await store.begin(conversation, self.user, join=False)
        pending = await store.pending(conversation)
        await store.finish(conversation, pending, self.seqs.get(conversation, 0) + 1)

    async def evict(self) -> None:
        await self.stores.redis.delete(self.stores.keys.recent(self.user))

    def naive(self) -> list[tuple[ConversationId, int]]:
        """Each conversation with the seq of its newest message, in the order that the list should have."""
        newest: dict[ConversationId, tuple[int, int]] = {}
        for at, (conversation, seq, kind) in enumerate(self.lines, 1):
            if kind == "message" and seq > newest.get(conversation, (0, 0))[0]:
                newest[conversation] = (seq, at)
        placed = sorted(newest, key=lambda c: newest[c][1], reverse=True)
        empty = sorted(self.made.keys() - newest.keys(), key=lambda c: (self.made[c], c), reverse=True)
        return [*((c, newest[c][0]) for c in placed), *((c, 0) for c in empty)]

    async def pages(
        self, limit: int, between: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> list[Listed]:
        listed: list[Listed] = []
        cursor = None
        while True:
            page = await self.order.page(self.user, cursor, limit)
            assert len(page.listed) == limit if page.cursor else len(page.listed) <= limit
            listed += page.listed
            if page.cursor is None:
                return listed
            cursor = page.cursor
            if between is not None:
                await between()
