"""A member's view of a conversation: its messages page by page, and its pins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from api.shared import SharedReads
from api.views import HistoryQuery, MeView, Person
from domain.changes import Edited, kept_of
from domain.clock import rfc3339
from domain.conversations import Member, Role
from domain.errors import Conflict, Forbidden, TooLarge
from domain.ids import MAX_SEQ, ConversationId, UserId, other_of, place_of
from domain.limits import whole
from domain.messages import Message
from domain.registers import shown
from infra.mongo.accounts import AccountStore
from infra.mongo.messages import MessageStore
from infra.mongo.registers import registers_of
from infra.mongo.terms import Document
from infra.mongo.unread import Unread
from producers.membership import Membership
from producers.reading import FIELDS, Reading, visible

MOST_READERS = 100
"""Who has read a message is told in groups of up to so many members."""

_message = msgspec.json.Decoder(Message).decode
_edited = msgspec.json.Decoder(Edited).decode


class _Newest(NamedTuple):
    """The newest message of a conversation that the user may read, as it is now."""

    seq: int
    message: bytes | None


class _Range(NamedTuple):
    """A read of one page."""

    conversation: ConversationId
    low: int
    high: int
    limit: int
    newest: bool


class Page(NamedTuple):
    """Messages as they are now, in rising order. `referenced` are those that they answer."""

    messages: list[bytes]
    more: bool
    referenced: list[bytes]


class History:
    """Reads of the message store. A member reads what was sent during their stays, and nothing else."""

    def __init__(
        self,
        messages: MessageStore,
        accounts: AccountStore,
        membership: Membership,
        reading: Reading,
    ) -> None:
        self._messages = messages
        self._accounts = accounts
        self._membership = membership
        self._reading = reading
        self._pages = SharedReads(self._read)

    async def page(self, user: UserId, conversation: ConversationId, asked: HistoryQuery) -> Page:
        """Up to `limit` messages, ascending, and whether there are more in that direction.

        From the newest backwards, or forwards when `after` is given. Raises NotFound, Forbidden.
        """
        member = await self._reading.part(user, conversation)
        low = 0 if isinstance(asked.after, UnsetType) else asked.after + 1
        high = MAX_SEQ if isinstance(asked.before, UnsetType) else asked.before - 1
        backwards = asked.after is UNSET
        wanted = _Range(conversation, low, high, asked.limit + 1, backwards)
        documents = await self._visible(user, member, wanted)
        found = [shown(d["m"], registers_of(d), user) for d in documents]  # in the direction of reading
        kept = found[: whole([len(message) for message in found[: asked.limit]])]
        referenced = await self.referenced(user, {conversation: member}, kept)
        return Page(kept[::-1] if backwards else kept, len(kept) < len(found), referenced)

    async def _visible(self, user: UserId, member: Member, wanted: _Range) -> list[Document]:
        """The messages of a range that the user can read. Where some are hidden, it reads on."""
        conversation, low, high, limit, backwards = wanted
        found: list[Document] = []
        low = max(low, member.own.cleared_seq + 1)
        for window in reversed(member.windows) if backwards else member.windows:
            start, end = max(low, window.joined), min(high, window.left - 1)
            while start <= end and len(found) < limit:
                room = limit - len(found)
                part = await self._pages.get(_Range(conversation, start, end, room, backwards))
                found += [document for document in part if visible(document, user, member)]
                if len(part) < room:
                    break
                last = part[-1]["_id"]["q"]
                start, end = (start, last - 1) if backwards else (last + 1, end)
        return found

    async def _read(self, wanted: _Range) -> list[Document]:
        return await self._messages.page(
            wanted.conversation, wanted.low, wanted.high, wanted.limit, newest=wanted.newest
        )

    async def referenced(
        self, user: UserId, members: Mapping[ConversationId, Member], messages: Iterable[bytes]
    ) -> list[bytes]:
        """The messages that these answer, as far as the user can read them. One read if there are any.

        `members` has the user's part in the conversation of each.
        """
        places = [place_of(name) for one in messages if (name := replied_to(one)) is not None]
        found = await self._messages.documents(dict.fromkeys(places), FIELDS)
        return [
            shown(d["m"], registers_of(d), user)
            for (conversation, _), d in found.items()
            if visible(d, user, members[conversation])
        ]

    async def one(self, user: UserId, message_id: str) -> bytes:
        """A message as it is now. Raises NotFound."""
        document, _ = await self._reading.message(user, message_id)
        return shown(document["m"], registers_of(document), user)

    async def versions(self, user: UserId | None, message_id: str) -> list[tuple[int, bytes, str]]:
        """Rev, body and time of each version, the oldest first. None asks for the application itself.

        Raises NotFound, and Conflict for a message that is recalled, except to the application.
        """
        place = place_of(message_id)
        if user is None:
            document = await self._reading.document(place)
        else:
            document, _ = await self._reading.message(user, message_id)
        registers = registers_of(document)
        if registers.recall is not None and user is not None:
            raise Conflict("The message was recalled.", "message_id")
        sent = _message(document["m"])
        revs = registers.edit.revs if registers.edit else ()
        edits = await self._messages.documents([(place[0], rev) for rev in sorted(revs)], ["m"])
        versions = [(place[1], bytes(sent.body), sent.sent_at)]
        for (_, rev), edit in sorted(edits.items()):
            kept = kept_of(edit["m"])
            versions.append((rev, bytes(_edited(kept.value).body), kept.at))
        return versions

    async def pins(self, user: UserId, conversation: ConversationId) -> tuple[list[bytes], list[bytes]]:
        """The pinned messages, the one pinned last first, and those that they answer."""
        member = await self._reading.part(user, conversation)
        found = [d for d in await self._messages.pinned(conversation) if visible(d, user, member)]
        found.sort(key=lambda document: document["p"]["r"], reverse=True)
        pinned = [shown(d["m"], registers_of(d), user) for d in found]
        return pinned, await self.referenced(user, {conversation: member}, pinned)

    async def readers(self, user: UserId, message_id: str) -> list[tuple[UserId, str]]:
        """The members whose read mark has reached the message, by id, and when it moved last.

        Raises NotFound, Forbidden for whoever did not send it, TooLarge for a large group.
        """
        document, _ = await self._reading.message(user, message_id)
        conversation, seq = place_of(message_id)
        if document["f"] != user:
            raise Forbidden("Only the sender sees who has read a message.", "message_id")
        members = await self._membership.newest(conversation)
        if len(members.present) > MOST_READERS:
            raise TooLarge(f"Readers are told in groups of up to {MOST_READERS} members.", "message_id")
        return [
            (one.user_id, rfc3339(one.own.read_at_ms))
            for one in sorted(members.by_user.values(), key=lambda one: one.user_id)
            if one.user_id != user and one.holds(seq) and one.own.read_seq >= seq
        ]

    async def role(self, user: UserId, conversation: ConversationId) -> Role:
        """The user's role. A member who has left is a plain one."""
        return (await self._membership.at(conversation, 0)).role_of(user)

    async def newest_document(
        self, user: UserId, conversation: ConversationId, member: Member
    ) -> Document | None:
        """The newest message that the member may read."""
        return await self._reading.newest(user, conversation, member)

    async def newest_of(
        self, user: UserId, members: Mapping[ConversationId, Member], limit: int
    ) -> dict[ConversationId, list[bytes]]:
        """The newest messages of each conversation that the member may read, ascending.

        One read for the last stay in each. Who came back gets earlier stays by reads of their own.
        """
        found: dict[ConversationId, list[Document]] = {c: [] for c in members}
        ranges = [
            (c, max(one.windows[-1].joined, one.own.cleared_seq + 1), one.windows[-1].left - 1)
            for c, one in members.items()
            if one.windows
        ]
        for document in await self._messages.newest_each(user, ranges, limit) if limit else ():
            found[document["_id"]["c"]].append(document)
        for conversation, member in members.items():
            if len(found[conversation]) < limit and len(member.windows) > 1:
                wanted = _Range(conversation, 0, MAX_SEQ, limit, newest=True)
                found[conversation] = await self._visible(user, member, wanted)
        return {
            c: [shown(d["m"], registers_of(d), user) for d in reversed(documents)]
            for c, documents in found.items()
        }

    async def newest(self, user: UserId, conversation: ConversationId, member: Member) -> _Newest:
        """The newest message that the member may read. Its seq is 0 if there is none."""
        document = await self._reading.newest(user, conversation, member)
        return _newest_of(document, user)

    async def others(
        self, user: UserId, conversations: Iterable[ConversationId]
    ) -> dict[ConversationId, Person]:
        """The other person of each direct conversation, oneself for notes. One query for all names."""
        pairs = {c: other for c in conversations if (other := other_of(user, c)) is not None}
        names = await self._accounts.names(pairs.values())
        return {c: Person(other, names.get(other)) for c, other in pairs.items()}


def me_view(role: Role, member: Member, unread: Unread) -> MeView:
    own = member.own
    return MeView(
        role,
        own.read_seq,
        unread.unread,
        unread.mentions,
        own.marked_unread,
        own.muted_until,
        own.pinned,
        own.archived,
        own.draft,
        own.cleared_seq,
        unread.more or UNSET,
    )


def replied_to(message: bytes) -> str | None:
    """The message that this one answers. Most say nothing of one, and are not decoded."""
    return (_message(message).reply_to or None) if b'"reply_to":' in message else None


def _newest_of(document: Document | None, user: UserId) -> _Newest:
    if document is None:
        return _Newest(0, None)
    return _Newest(document["_id"]["q"], shown(document["m"], registers_of(document), user))
