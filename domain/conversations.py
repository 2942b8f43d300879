"""Conversations, their members, and who receives what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from domain.ids import MAX_SEQ, ConversationId, UserId, direct_pair, inbox_partition

ConversationKind = Literal["direct", "group"]
Role = Literal["owner", "admin", "member"]


class Conversation(Struct, frozen=True):
    """`owner` is the owner of a group. A group from before this field has its owner in the member's role."""

    conversation_id: ConversationId
    kind: ConversationKind
    title: str | None
    created_at_ms: int
    owner: UserId | None = None


class Window(Struct, frozen=True, array_like=True):
    """A stay in a conversation. The member receives its messages with `joined <= seq < left`."""

    joined: int
    left: int = MAX_SEQ + 1

    def holds(self, seq: int) -> bool:
        return self.joined <= seq < self.left


class Member(Struct, frozen=True):
    """One person's part in a conversation. It has several windows if they left and came back."""

    user_id: UserId
    role: Role
    windows: tuple[Window, ...]
    read_seq: int = 0

    def holds(self, seq: int) -> bool:
        """Whether they receive the message with this number."""
        return any(window.holds(seq) for window in self.windows)

    @property
    def present(self) -> bool:
        """Whether they are a member now."""
        return bool(self.windows) and self.windows[-1].left > MAX_SEQ


ALWAYS = (Window(1),)


class Members(Struct, frozen=True):
    """The member list of one conversation at one version: `version` counts its changes.

    Windows make it timeless. Take a message that was numbered at this version or earlier: every process
    computes the same recipients, at any time. `owner` is what the store has, also if the owner has left.
    """

    conversation_id: ConversationId
    version: int
    by_user: Mapping[UserId, Member]
    owner: UserId | None = None

    def holds(self, user: UserId, seq: int) -> bool:
        """Whether the user is a recipient of (and so may send or read) this message."""
        member = self.by_user.get(user)
        return member is not None and member.holds(seq)

    def has(self, user: UserId) -> bool:
        """Whether the user is a member now."""
        member = self.by_user.get(user)
        return member is not None and member.present

    @property
    def present(self) -> list[Member]:
        """The members of now."""
        return [member for member in self.by_user.values() if member.present]

    @property
    def heir(self) -> UserId | None:
        """Who takes the group over from an owner who has left; None if the group needs nobody.

        The admin who joined first, else the member who joined first.
        """
        present = self.present
        if not present or direct_pair(self.conversation_id) or (self.owner and self.has(self.owner)):
            return None
        return min(present, key=lambda m: (m.role != "admin", m.windows[-1].joined, m.user_id)).user_id

    def recipients(self, seq: int, partitions: int) -> dict[int, list[UserId]]:
        """Inbox partition → the users there who receive this message, with the sender."""
        spread: dict[int, list[UserId]] = {}
        for user, member in self.by_user.items():
            if member.holds(seq):
                spread.setdefault(inbox_partition(user, partitions), []).append(user)
        return spread


def direct_members(conversation: ConversationId) -> Members | None:
    """The members of a direct conversation, known from its id; None for a group."""
    pair = direct_pair(conversation)
    if pair is None:
        return None
    by_user = {user: Member(user, "member", ALWAYS) for user in pair}
    return Members(conversation, 0, by_user)
