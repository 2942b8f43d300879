"""The list of a user's conversations: a page of the order, and a row for each conversation on it.

The snapshot is the same list with the newest messages of each conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import UNSET, Raw
from msgspec.structs import astuple

from api.conversation_order import ConversationOrder, Listed
from api.history import History, me_view
from api.views import Person
from api.views_lists import ConversationList, ConversationRow, Snapshot, SnapshotRow
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
from producers.reading import visible

LOOKUPS_AT_ONCE = 32
"""Conversations whose newest message cannot be read by the user, or lies in an earlier stay."""


MOST_ROWS = 200
LOOKED_AT = 1_000
"""Conversations that a page with a filter looks at."""


class Wanted(NamedTuple):
    """A filter of the list. None: whatever it is."""

    pinned: bool | None = None
    archived: bool | None = None
    unread: bool | None = None

    def of_own(self, member: Member) -> bool:
        """Whether the settings of the member pass."""
        own = member.own
        return self.pinned in (None, own.pinned) and self.archived in (None, own.archived)


EVERY = Wanted()


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
        history: History,
        rows: RowBuilder,
    ) -> None:
        self._order = order
        self._conversations = conversations
        self._messages = messages
        self._history = history
        self._rows = rows

    async def page(
        self, user: UserId, cursor: str | None, limit: int, wanted: Wanted = EVERY
    ) -> ConversationList:
        """Up to `limit` conversations, and no more bytes of messages than an answer holds.

        With a filter it looks at `LOOKED_AT` conversations at the most, so a page may hold fewer, even none,
        and still say that there are more.
        """
        if wanted == EVERY:
            sources, following = await self._page(user, cursor, limit)
            return await self._answer(user, sources, following)
        rows: list[ConversationRow] = []
        referenced: list[Raw] = []
        for _ in range(LOOKED_AT // MOST_ROWS):
            listed, following, _ = await self._order.page(user, cursor, MOST_ROWS)
            found = await self.sources(user, [one.conversation_id for one in listed])
            part, taken = await self._wanted(user, listed, found, wanted, limit - len(rows))
            rows += part.conversations
            referenced += part.referenced
            cursor = following if taken == len(listed) else listed[taken - 1].cursor
            if cursor is None or len(rows) >= limit:
                break
        return ConversationList(rows, cursor, cursor is not None, referenced)

    async def _wanted(
        self,
        user: UserId,
        listed: Sequence[Listed],
        found: Mapping[ConversationId, RowSource],
        wanted: Wanted,
        room: int,
    ) -> tuple[ConversationList, int]:
        """The rows of these that pass the filter, `room` at the most, and how many were looked at."""
        asked = [
            (at, source)
            for at, one in enumerate(listed, 1)
            if (source := found.get(one.conversation_id)) and wanted.of_own(source.member)
        ]
        taken = len(listed)
        if wanted.unread is None and len(asked) > room:
            asked, taken = asked[:room], asked[room - 1][0]
        if wanted.unread is not None:
            rows = await self._rows.rows(user, [source for _, source in asked])
            asked = [one for one, row in zip(asked, rows, strict=True) if _is_unread(row) == wanted.unread]
            if len(asked) > room:
                asked, taken = asked[:room], asked[room - 1][0]
        return await self._answer(user, [source for _, source in asked], None), taken

    async def _answer(
        self, user: UserId, sources: Sequence[RowSource], following: str | None
    ) -> ConversationList:
        members = {one.conversation.conversation_id: one.member for one in sources}
        messages = [one.message for one in sources if one.message is not None]
        rows, referenced = await asyncio.gather(
            self._rows.rows(user, sources), self._history.referenced(user, members, messages)
        )
        return ConversationList(rows, following, following is not None, list(map(Raw, referenced)))

    async def snapshot(self, user: UserId, cursor: str | None, limit: int, messages: int) -> Snapshot:
        """A page of the list with the newest `messages` of each conversation, ascending.

        `head` is where to sync from: what comes behind it is not, or not wholly, in the snapshot. It is the
        same on all pages of a list. Holds no more bytes of messages than an answer, but one conversation.
        """
        listed, following, head = await self._order.page(user, cursor, limit)
        found = await self.sources(user, [one.conversation_id for one in listed])
        members = {c: source.member for c, source in found.items()}
        newest = await self._history.newest_of(user, members, messages)
        sizes = [sum(map(len, newest.get(one.conversation_id, ()))) for one in listed]
        kept = whole(sizes)
        if kept < len(listed):
            following = listed[kept - 1].cursor
        sources = [source for one in listed[:kept] if (source := found.get(one.conversation_id))]
        shown = {
            one.conversation.conversation_id: newest[one.conversation.conversation_id] for one in sources
        }
        rows, referenced = await asyncio.gather(
            self._rows.rows(user, sources),
            self._history.referenced(user, members, [m for some in shown.values() for m in some]),
        )
        conversations = [
            SnapshotRow(*astuple(row), messages=list(map(Raw, shown[row.conversation_id]))) for row in rows
        ]
        more = following is not None
        return Snapshot(head, conversations, following, more, list(map(Raw, referenced)))

    async def _page(self, user: UserId, cursor: str | None, limit: int) -> tuple[list[RowSource], str | None]:
        listed, following, _ = await self._order.page(user, cursor, limit)
        sources = await self.sources(user, [one.conversation_id for one in listed])
        found = [(one.seq, sources.get(one.conversation_id)) for one in listed]
        kept = whole([len(source.message or b"") if source else 0 for _, source in found])
        if kept < len(listed):
            following = listed[kept - 1].cursor
        shown = [(seq, source) for seq, source in found[:kept] if source]
        ordered = _with_newer(shown) if cursor is None else [source for _, source in shown]
        return ordered, following

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
                member = members[conversation]
                newest[conversation] = await self._history.newest_document(user, conversation, member)

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


def _is_unread(row: ConversationRow) -> bool:
    """Something is unread, or may be: the count has its bounds."""
    me = row.me
    return row.unread > 0 or me.unread_more is True or me.mentions > 0 or me.marked_unread


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
