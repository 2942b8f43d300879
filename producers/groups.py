"""Opening conversations and changing who is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from domain.clock import now_ms
from domain.conversations import Conversation, Members
from domain.errors import Forbidden, NotFound, TooLarge, Unavailable
from domain.ids import ConversationId, UserId, direct_id, new_group_id
from infra.crash import crash_point
from infra.mongo.accounts import AccountStore
from infra.mongo.conversations import ConversationStore
from producers.membership import Membership


@dataclass(frozen=True)
class Groups:
    """The owner of a group adds, removes and renames; a member may leave.

    A group that has members has an owner, who is one of them. When the owner has left, the admin who
    joined first takes over, or else the member who joined first. The next look at the group does this.

    A person who left reads what was sent during their stay, and receives nothing more. Once a change is
    answered, every message with a later number goes to the new members.
    Raises NotFound for an unknown conversation, and Forbidden if the caller was never a member.
    """

    _conversations: ConversationStore
    _accounts: AccountStore
    _membership: Membership
    _most_members: int

    async def open_direct(self, caller: UserId, other: UserId, field: str) -> tuple[ConversationId, bool]:
        """The conversation of the two, and whether this call created it."""
        conversation = direct_id(caller, other)
        try:
            await self._membership.at(conversation, 0)
        except NotFound:
            await self._must_exist([caller, other], field)
            created = Conversation(conversation, "direct", None, now_ms())
            return conversation, await self._conversations.create(created, {caller, other})
        return conversation, False

    async def create(self, owner: UserId, title: str | None, others: Sequence[UserId]) -> Conversation:
        """A new group of the owner and the others."""
        users = list(dict.fromkeys((owner, *others)))
        if len(users) > self._most_members:
            raise TooLarge(f"A group may have {self._most_members} members.", "members")
        await self._must_exist(users, "members")
        conversation = Conversation(new_group_id(), "group", title, now_ms(), owner=owner)
        await self._conversations.create(conversation, users)
        return conversation

    async def view(self, caller: UserId, conversation: ConversationId) -> tuple[Conversation, Members]:
        """The conversation and its newest member list, for a caller who is or was a member."""
        members = await self._owned_by_a_member(await self._membership.seen_by(caller, conversation))
        found = await self._conversations.get(conversation)
        if found is None:
            raise NotFound("There is no such conversation.", "conversation_id")
        return found, members

    async def rename(self, caller: UserId, conversation: ConversationId, title: str | None) -> None:
        await self._owned(caller, conversation)
        await self._conversations.set_title(conversation, title)

    async def add(self, caller: UserId, conversation: ConversationId, user: UserId) -> None:
        """The user receives every message numbered after this was answered. Changes nothing for a member."""
        members = await self._owned(caller, conversation)
        if not members.has(user):
            if len(members.present) >= self._most_members:
                raise TooLarge(f"A group may have {self._most_members} members.", "user_id")
            await self._must_exist([user], "user_id")
            await self._membership.change(conversation, user, join=True)

    async def remove(self, caller: UserId, conversation: ConversationId, user: UserId) -> None:
        """The user receives no message numbered after this was answered. Changes nothing if they left."""
        if caller == user:
            members = await self._group(caller, conversation)
        else:
            members = await self._owned(caller, conversation)
        member = members.by_user.get(user)
        if member is None:
            raise NotFound("They are not a member of this conversation.", "user_id")
        if member.present:
            await self._membership.change(conversation, user, join=False)
            await self._owned_by_a_member(await self._membership.newest(conversation))

    async def _owned_by_a_member(self, members: Members) -> Members:
        """The list, with an owner among its members. Raises Unavailable."""
        for _ in range(5):
            heir = members.heir
            if heir is None:
                return members
            crash_point("owner-left")
            if await self._conversations.take_over(members, heir):
                return replace(members, owner=heir)
            members = await self._membership.newest(members.conversation_id)
        raise Unavailable("The members of the conversation change too fast.")

    async def _group(self, caller: UserId, conversation: ConversationId) -> Members:
        found, members = await self.view(caller, conversation)
        if found.kind != "group":
            raise Forbidden("A direct conversation cannot be changed.", "conversation_id")
        return members

    async def _owned(self, caller: UserId, conversation: ConversationId) -> Members:
        members = await self._group(caller, conversation)
        if members.owner != caller or not members.has(caller):
            raise Forbidden("Only the owner of a group may change it.", "conversation_id")
        return members

    async def _must_exist(self, users: Sequence[UserId], field: str) -> None:
        unknown = await self._accounts.unknown(users)
        if unknown:
            raise NotFound(f"There is no user {sorted(unknown)[0]}.", field)
