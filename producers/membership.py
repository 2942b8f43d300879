"""Member lists in memory. The version that comes with every number shows whether a list is fresh."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from domain.conversations import Members, direct_members
from domain.errors import Conflict, Forbidden, NotFound, Unavailable
from domain.ids import ConversationId, UserId, direct_pair, is_group, owner_of
from infra.crash import crash_point
from infra.mongo.conversations import ConversationStore, PendingChange
from producers.numbering import Numbering

CACHED_LISTS = 20_000
CACHED_MEMBERS = 500_000
"""About 400 bytes each."""


class Membership:
    """Who belongs to a conversation.

    It keeps the lists that were used last: at most `CACHED_LISTS`, and of these no more than hold
    `CACHED_MEMBERS` together.
    """

    def __init__(self, conversations: ConversationStore, numbering: Numbering) -> None:
        self._conversations = conversations
        self._numbering = numbering
        self._cached: OrderedDict[ConversationId, Members] = OrderedDict()
        self._cached_members = 0

    async def at(self, conversation: ConversationId, version: int) -> Members:
        """A list at least as new as the version. It is right for messages numbered at this version or before.

        Raises NotFound, Unavailable.
        """
        return self.known(conversation, version) or await self.newest(conversation)

    def known(self, conversation: ConversationId, version: int) -> Members | None:
        """What `at` would return, if it is in memory."""
        cached = self._cached.get(conversation)
        if cached is None and owner_of(conversation) is not None:
            return direct_members(conversation)
        if cached is None or cached.version < version:
            return None
        self._cached.move_to_end(conversation)
        return cached

    async def changed(self, lists: Iterable[Members]) -> dict[ConversationId, Members]:
        """Those of the lists that have changed since, as the store has them now. Raises Unavailable.

        Called after a message is stored, this says who receives it, even if Redis lost the counter since the
        message was numbered. A change whose version is not raised yet gets a number behind the message.
        """
        groups = {one.conversation_id: one for one in lists if is_group(one.conversation_id)}
        if not groups:
            return {}
        versions = await self._conversations.versions(groups)
        return {c: await self.newest(c) for c, one in groups.items() if versions.get(c, 0) > one.version}

    async def of_stored(
        self, conversations: Iterable[ConversationId]
    ) -> tuple[dict[ConversationId, Members], set[ConversationId]]:
        """Lists whose windows say, now and later, who receives the messages that are stored by now.

        Only changed lists are read again. Unknown conversations are absent. Returned beside the lists are
        the conversations with a change that cannot be finished now. Raises Unavailable.
        """
        asked = set(conversations)
        found = {c: members for c in asked if (members := direct_members(c)) is not None}
        unsettled = set()
        groups = asked - set(found)
        if groups:
            versions = await self._conversations.versions(groups)
            for conversation, version in versions.items():
                try:
                    found[conversation] = await self.at(conversation, version)
                except Unavailable:
                    unsettled.add(conversation)
        return found, unsettled

    async def seen_by(self, user: UserId, conversation: ConversationId) -> Members:
        """The newest list, for a user who is or was a member. Raises NotFound, Forbidden, Unavailable.

        A direct conversation of two other people is always Forbidden, so that nobody learns if it exists.
        """
        pair = direct_pair(conversation)
        members = await self.newest(conversation) if pair is None or user in pair else None
        if members is None or user not in members.by_user:
            raise Forbidden("You are not a member of this conversation.", "conversation_id")
        return members

    async def with_member(self, user: UserId, conversation: ConversationId) -> Members:
        """A list that has the user among its members, without a read if one is in memory. The commit checks
        again at the number, so a list that is a little old does no harm.

        Raises NotFound, Forbidden, Unavailable.
        """
        members = self.known(conversation, 0)
        if members is None or not members.has(user):
            members = await self.seen_by(user, conversation)
        if not members.has(user):
            raise Forbidden("You are no longer a member of this conversation.", "conversation_id")
        return members

    async def newest(self, conversation: ConversationId) -> Members:
        """The list as the store has it. Raises NotFound, Unavailable."""
        for _ in range(5):
            try:
                members = await self._conversations.members(conversation)
            except PendingChange:
                await self._finish_change(conversation)
                continue
            if members is None:
                raise NotFound("There is no such conversation.", "conversation_id")
            self._keep(members)
            return members
        raise Unavailable("The members of the conversation change too fast.")

    async def change(self, conversation: ConversationId, user: UserId, *, join: bool) -> None:
        """Let the user in or out, for every message numbered afterwards. Raises Conflict, Unavailable."""
        await self._numbering.restore(conversation)  # a change that could not be numbered is not begun
        for _ in range(5):
            if not await self._conversations.begin(conversation, user, join=join):
                return
            await self._finish_change(conversation)
        raise Conflict(
            "Others are changing the members of this conversation. Send the request again.", "user_id"
        )

    async def _finish_change(self, conversation: ConversationId) -> None:
        """Number what `ConversationStore.begin` wrote: it holds for every message numbered from now on."""
        crash_point("change-begun")
        pending = await self._conversations.pending(conversation)
        await self._conversations.raise_version(conversation)
        crash_point("change-counted")
        last = await self._numbering.restore(conversation)
        await self._conversations.finish(conversation, pending, last + 1)

    def _keep(self, members: Members) -> None:
        if older := self._cached.pop(members.conversation_id, None):
            self._cached_members -= len(older.by_user)
        self._cached[members.conversation_id] = members
        self._cached_members += len(members.by_user)
        while len(self._cached) > CACHED_LISTS or self._cached_members > CACHED_MEMBERS:
            self._cached_members -= len(self._cached.popitem(last=False)[1].by_user)
