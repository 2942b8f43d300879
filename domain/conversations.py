"""Conversations, their members, and who receives what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from domain.ids import MAX_SEQ, ConversationId, UserId, direct_pair, inbox_partition, is_group, owner_of

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


class Own(Struct, frozen=True):
    """A member's own state in a conversation, which only they see.

    `read_seq` and `cleared_seq` only rise. `read_at_ms` is when the read mark moved last. `version` counts
    the changes, so the higher one is the later state.
    """

    version: int = 0
    read_seq: int = 0
    read_at_ms: int = 0
    marked_unread: bool = False
    muted_until: str | None = None
    pinned: bool = False
    archived: bool = False
    draft: str | None = None
    cleared_seq: int = 0


NOTHING = Own()


class Member(Struct, frozen=True):
    """One person's part in a conversation. It has several windows if they left and came back."""

    user_id: UserId
    role: Role
    windows: tuple[Window, ...]
    own: Own = NOTHING

    @property
    def read_seq(self) -> int:
        return self.own.read_seq

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
        if not present or not is_group(self.conversation_id) or (self.owner and self.has(self.owner)):
            return None
        return min(present, key=lambda m: (m.role != "admin", m.windows[-1].joined, m.user_id)).user_id

    def role_of(self, user: UserId) -> Role:
        """The role of a member in a group. Both people of a direct conversation are plain members."""
        if user == self.owner and is_group(self.conversation_id):
            return "owner"
        member = self.by_user.get(user)
        return "admin" if member is not None and member.role == "admin" else "member"

    def recipients(self, seq: int, partitions: int, target: int = 0) -> dict[int, list[UserId]]:
        """Inbox partition → the users there who receive this message, with the sender.

        A change of a message goes to those whose stays hold the change and its `target`.
        """
        return _spread(
            partitions,
            (
                user
                for user, member in self.by_user.items()
                if member.holds(seq) and (not target or member.holds(target))
            ),
        )

    def without_the_change(self, seq: int, partitions: int, target: int) -> dict[int, list[UserId]]:
        """Inbox partition → the users there who have a message and do not receive this change of it.

        They have left. What they still read is to be the message as it is now.
        """
        return _spread(
            partitions,
            (user for user, member in self.by_user.items() if member.holds(target) and not member.holds(seq)),
        )


def _spread(partitions: int, users: Iterable[UserId]) -> dict[int, list[UserId]]:
    spread: dict[int, list[UserId]] = {}
    for user in users:
        spread.setdefault(inbox_partition(user, partitions), []).append(user)
    return spread


def direct_members(conversation: ConversationId) -> Members | None:
    """The members of a direct conversation, or the one of a user's own space, by the id; None for a group."""
    owner = owner_of(conversation)
    users = direct_pair(conversation) if owner is None else (owner,)
    if users is None:
        return None
    by_user = {user: Member(user, "member", ALWAYS) for user in users}
    return Members(conversation, 0, by_user)
