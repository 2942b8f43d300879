"""A member's view of conversations: the pages of one, and the list of all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import UNSET, Raw, UnsetType

from api.shared import SharedReads
from api.views import ConversationList, ConversationRow, HistoryQuery, Person
from domain.clock import rfc3339
from domain.conversations import Conversation, Member
from domain.errors import Unavailable
from domain.ids import MAX_SEQ, ConversationId, UserId, other_of
from domain.limits import whole
from domain.messages import sent_of
from infra.mongo.accounts import AccountStore
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Place
from infra.redis.sequence import Sequence
from producers.membership import Membership

LOOKUPS_AT_ONCE = 32


class _Newest(NamedTuple):
    """The newest message of a conversation that the user may read."""

    seq: int
    message: bytes | None


class _Range(NamedTuple):
    """A read of one page."""

    conversation: ConversationId
    low: int
    high: int
    limit: int
    newest: bool


class _Active(NamedTuple):
    """A conversation, and where it stands in the list (a `ListCursor`)."""

    cursor: str
    conversation: Conversation
    member: Member
    newest: _Newest


class History:
    """Reads of the message store. A member reads what was sent during their stays, and nothing else."""

    def __init__(
        self,
        messages: MessageStore,
        conversations: ConversationStore,
        accounts: AccountStore,
        membership: Membership,
        sequence: Sequence,
    ) -> None:
        self._messages = messages
        self._conversations = conversations
        self._accounts = accounts
        self._membership = membership
        self._sequence = sequence
        self._pages = SharedReads(self._read)

    async def page(
        self, user: UserId, conversation: ConversationId, asked: HistoryQuery
    ) -> tuple[list[bytes], bool]:
        """Up to `limit` messages, ascending, and whether there are more in that direction.

        From the newest backwards, or forwards when `after` is given. Raises NotFound, Forbidden.
        """
        member = (await self._membership.seen_by(user, conversation)).by_user[user]
        low = 0 if isinstance(asked.after, UnsetType) else asked.after + 1
        high = MAX_SEQ if isinstance(asked.before, UnsetType) else asked.before - 1
        backwards = asked.after is UNSET
        found: list[bytes] = []  # in the direction of reading
        for window in reversed(member.windows) if backwards else member.windows:
            start, end = max(low, window.joined), min(high, window.left - 1)
            room = asked.limit + 1 - len(found)
            if start <= end and room > 0:
                part = await self._pages.get(_Range(conversation, start, end, room, backwards))
                found += [message for _, message in part]
        kept = found[: whole([len(message) for message in found[: asked.limit]])]
        return kept[::-1] if backwards else kept, len(kept) < len(found)

    async def _read(self, wanted: _Range) -> list[tuple[int, bytes]]:
        return await self._messages.page(
            wanted.conversation, wanted.low, wanted.high, wanted.limit, newest=wanted.newest
        )

    async def newest(self, conversation: ConversationId, member: Member) -> _Newest:
        """The newest message that the member may read. Its seq is 0 if there is none."""
        for window in reversed(member.windows):
            found = await self._messages.last(conversation, window.left - 1)
            if found is not None and found[0] >= window.joined:
                return _Newest(*found)
        return _Newest(0, None)

    async def others(
        self, user: UserId, conversations: Iterable[ConversationId]
    ) -> dict[ConversationId, Person]:
        """The other person of each direct conversation, oneself for notes. One query for all names."""
        pairs = {c: other for c in conversations if (other := other_of(user, c)) is not None}
        names = await self._accounts.names(pairs.values())
        return {c: Person(other, names.get(other)) for c, other in pairs.items()}

    async def conversations(self, user: UserId, cursor: str | UnsetType, limit: int) -> ConversationList:
        """The user's conversations, newest activity first."""
        active = await self._active(user)
        active.sort(key=lambda one: one.cursor, reverse=True)
        if not isinstance(cursor, UnsetType):
            active = [one for one in active if one.cursor < cursor]
        page = active[:limit]
        page = page[: whole([len(one.newest.message or b"") for one in page])]
        others = await self.others(user, [one.conversation.conversation_id for one in page])
        rows = await asyncio.gather(*(self._row(user, one, others) for one in page))
        more = len(active) > len(page)
        return ConversationList(list(rows), page[-1].cursor if more else None, more)

    async def _active(self, user: UserId) -> list[_Active]:
        mine = dict(await self._conversations.of_user(user))
        known = await self._conversations.get_many(mine)
        newest = await self._newest_of({c: mine[c] for c in known})
        return [
            _Active(f"{_activity(conversation, newest[c])}~{c}", conversation, mine[c], newest[c])
            for c, conversation in known.items()
        ]

    async def _newest_of(self, mine: dict[ConversationId, Member]) -> dict[ConversationId, _Newest]:
        """Guess the newest messages by the counters and read them together. Look up each wrong guess by
        itself.
        """
        conversations = list(mine)
        try:
            heads = await self._sequence.heads(conversations)
        except Unavailable:
            heads = [0] * len(conversations)
        guesses: list[Place] = [
            (c, head) for c, head in zip(conversations, heads, strict=True) if mine[c].holds(head)
        ]
        found = await self._messages.by_place(guesses)
        newest = {place[0]: _Newest(place[1], message) for place, message in found.items()}
        limit = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def look_up(conversation: ConversationId) -> None:
            async with limit:
                newest[conversation] = await self.newest(conversation, mine[conversation])

        await asyncio.gather(*(look_up(c) for c in conversations if c not in newest))
        return newest

    async def _row(
        self, user: UserId, one: _Active, others: Mapping[ConversationId, Person]
    ) -> ConversationRow:
        conversation = one.conversation
        unread = 0
        for window in one.member.windows:
            low = max(window.joined, one.member.read_seq + 1)
            high = min(window.left - 1, one.newest.seq)
            unread += await self._messages.count_from_others(conversation.conversation_id, user, low, high)
        message = None if one.newest.message is None else Raw(one.newest.message)
        return ConversationRow(
            conversation.conversation_id,
            conversation.kind,
            conversation.title,
            one.newest.seq,
            one.member.read_seq,
            unread,
            message,
            others.get(conversation.conversation_id, UNSET),
        )


def _activity(conversation: Conversation, newest: _Newest) -> str:
    """The time of the last activity. RFC 3339 in UTC sorts as text."""
    if newest.message is None:
        return rfc3339(conversation.created_at_ms)
    return sent_of(newest.message).sent_at
