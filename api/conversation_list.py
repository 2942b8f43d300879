"""The list of a user's conversations: a page of the order, and a row for each conversation on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import UNSET, Raw

from api.conversation_order import ConversationOrder
from api.history import History, me_view
from api.views import ConversationList, ConversationRow, Person
from domain.conversations import Conversation, Member, Role
from domain.ids import ConversationId, UserId, is_group
from domain.limits import whole
from domain.messages import sent_of
from domain.registers import shown
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.mongo.registers import registers_of
from infra.mongo.terms import Document
from infra.mongo.unread import Unread, UnreadCounts
from producers.reading import Reading, visible

LOOKUPS_AT_ONCE = 32
"""Conversations whose newest message cannot be read by the user, or lies in an earlier stay."""


class RowSource(NamedTuple):
    """What a row is made of. `message` is the newest that the member may read; None if there is none."""

    conversation: Conversation
    member: Member
    message: bytes | None
    seq: int


class RowBuilder(Protocol):
    async def rows(self, user: UserId, sources: Sequence[RowSource]) -> list[ConversationRow]:
        """A row of each, in order."""


class ConversationListing:
    """Pages of the list. Rows show what the store has now.

    The order is that of `ConversationOrder`: of the timeline. A message that is stored and not yet in the
    timeline moves its conversation up on the first page, if it is on that page.
    """

    def __init__(
        self,
        order: ConversationOrder,
        conversations: ConversationStore,
        messages: MessageStore,
        reading: Reading,
        rows: RowBuilder,
    ) -> None:
        self._order = order
        self._conversations = conversations
        self._messages = messages
        self._reading = reading
        self._rows = rows

    async def page(self, user: UserId, cursor: str | None, limit: int) -> ConversationList:
        """Up to `limit` conversations, and no more bytes of messages than an answer holds."""
        listed, following = await self._order.page(user, cursor, limit)
        sources = await self.sources(user, [one.conversation_id for one in listed])
        found = [(one.seq, sources.get(one.conversation_id)) for one in listed]
        kept = whole([len(source.message or b"") if source else 0 for _, source in found])
        if kept < len(listed):
            following = listed[kept - 1].cursor
        shown = [(seq, source) for seq, source in found[:kept] if source]
        ordered = _with_newer(shown) if cursor is None else [source for _, source in shown]
        rows = await self._rows.rows(user, ordered)
        return ConversationList(rows, following, following is not None)

    async def sources(
        self, user: UserId, conversations: Sequence[ConversationId]
    ) -> dict[ConversationId, RowSource]:
        """Of each conversation that there is and that the user is or was in, in few reads."""
        parts, known = await asyncio.gather(
            self._conversations.parts([(conversation, user) for conversation in conversations]),
            self._conversations.get_many(conversations),
        )
        members = {c: parts[c, user] for c in known if (c, user) in parts}
        newest = await self._newest(user, members)
        return {
            c: RowSource(known[c], member, *_message_of(newest[c], user)) for c, member in members.items()
        }

    async def _newest(
        self, user: UserId, members: Mapping[ConversationId, Member]
    ) -> dict[ConversationId, Document | None]:
        """The newest message that the user can read in each: of the last stay, or else looked up."""
        ranges = [
            (c, max(member.windows[-1].joined, member.own.cleared_seq + 1), member.windows[-1].left - 1)
            for c, member in members.items()
            if member.windows
        ]
        found = await self._messages.newest_in(one for one in ranges if one[1] <= one[2])
        newest: dict[ConversationId, Document | None] = dict.fromkeys(members)
        newest |= {c: document for c, document in found.items() if visible(document, user, members[c])}
        others = [
            c
            for c, member in members.items()
            if newest[c] is None and (c in found or len(member.windows) > 1)
        ]
        limit = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def look_up(conversation: ConversationId) -> None:
            async with limit:
                newest[conversation] = await self._reading.newest(user, conversation, members[conversation])

        await asyncio.gather(*map(look_up, others))
        return newest


def _message_of(document: Document | None, user: UserId) -> tuple[bytes | None, int]:
    if document is None:
        return None, 0
    return shown(document["m"], registers_of(document), user), document["_id"]["q"]


def _with_newer(shown: Sequence[tuple[int, RowSource]]) -> list[RowSource]:
    """In the order given. A row with a message newer than its seq stands where the time of the message is."""
    rows = [source for seq, source in shown if source.seq <= seq]
    newer = [source for seq, source in shown if source.seq > seq]
    for source in sorted(newer, key=_sent_at):
        place = next((at for at, row in enumerate(rows) if _sent_at(row) <= _sent_at(source)), len(rows))
        rows.insert(place, source)
    return rows


def _sent_at(source: RowSource) -> str:
    """RFC 3339 in UTC sorts as text."""
    return sent_of(source.message).sent_at if source.message else ""


class ConversationRows:
    """Rows as the API gives them."""

    def __init__(self, history: History, unread: UnreadCounts) -> None:
        self._history = history
        self._unread = unread

    async def rows(self, user: UserId, sources: Sequence[RowSource]) -> list[ConversationRow]:
        parts = [(one.conversation.conversation_id, one.member) for one in sources]
        counts, others = await asyncio.gather(
            self._unread.of(user, parts), self._history.others(user, [c for c, _ in parts])
        )
        return [_row(source, unread, user, others) for source, unread in zip(sources, counts, strict=True)]


def _row(
    source: RowSource, unread: Unread, user: UserId, others: Mapping[ConversationId, Person]
) -> ConversationRow:
    conversation, member, message, seq = source
    role: Role = "member"
    if is_group(conversation.conversation_id):
        role = "owner" if conversation.owner == user else "admin" if member.role == "admin" else "member"
    return ConversationRow(
        conversation.conversation_id,
        conversation.kind,
        conversation.title,
        seq,
        member.own.read_seq,
        unread.unread,
        None if message is None else Raw(message),
        me_view(role, member, unread),
        others.get(conversation.conversation_id, UNSET),
    )
