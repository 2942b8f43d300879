"""What the entries of a user's own state carry.

`rev` rises with every change. Who sees a lower one after a higher one ignores it.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from domain.conversations import Own
from domain.ids import ConversationId, UserId


class ReadNow(Struct, frozen=True):
    """A read mark, and what is unread behind it."""

    conversation_id: ConversationId
    read_seq: int
    unread: int
    marked_unread: bool
    rev: int
    unread_more: bool | UnsetType = UNSET


class Receipt(Struct, frozen=True):
    """How far the other one of a direct conversation has read, or has the messages on a device."""

    conversation_id: ConversationId
    user_id: UserId
    read_seq: int | UnsetType = UNSET
    delivered_seq: int | UnsetType = UNSET


class SettingsNow(Struct, frozen=True):
    """A conversation's settings of one user."""

    conversation_id: ConversationId
    pinned: bool
    archived: bool
    rev: int
    muted_until: str | UnsetType = UNSET
    draft: str | UnsetType = UNSET
    cleared_seq: int | UnsetType = UNSET


class Hidden(Struct, frozen=True):
    """A message that a user deleted for themselves."""

    message_id: str


def settings_now(conversation: ConversationId, own: Own) -> SettingsNow:
    return SettingsNow(
        conversation,
        own.pinned,
        own.archived,
        own.version,
        UNSET if own.muted_until is None else own.muted_until,
        UNSET if own.draft is None else own.draft,
        own.cleared_seq or UNSET,
    )
