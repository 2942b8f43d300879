"""What the list of conversations and the snapshot look like."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from api.views import BaseConversation, Limit, ListCursor, Me, With


class ListQuery(Struct, forbid_unknown_fields=True):
    cursor: ListCursor | UnsetType = UNSET
    limit: Limit = 50
    pinned: Annotated[bool, Meta(description="Only those that you have pinned, or have not.")] | UnsetType = (
        UNSET
    )
    archived: (
        Annotated[bool, Meta(description="Only those that you have archived, or have not.")] | UnsetType
    ) = UNSET
    unread: (
        Annotated[bool, Meta(description="Only those with unread messages or marked as unread, or without.")]
        | UnsetType
    ) = UNSET


class SnapshotQuery(Struct, forbid_unknown_fields=True):
    cursor: ListCursor | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="The most conversations in the answer.")] = 20
    messages: Annotated[int, Meta(ge=0, le=20, description="The most messages of each conversation.")] = 20


class ConversationRow(BaseConversation):
    """A conversation in the list."""

    read_seq: Annotated[int, Meta(description="Up to which `seq` you have read.")]
    unread: Annotated[int, Meta(description="How many messages of others came after it, up to 1,000.")]
    last_message: Annotated[
        Raw | None, Meta(description="The newest message that you may read; null when there is none.")
    ]
    me: Me
    with_: With | UnsetType = msgspec.field(default=UNSET, name="with")


class ConversationList(Struct):
    """A page of your conversations, newest activity first."""

    conversations: Annotated[list[ConversationRow], Meta(description="The conversations of this page.")]
    cursor: Annotated[str | None, Meta(description="The `cursor` for the next page; null on the last page.")]
    more: Annotated[bool, Meta(description="Whether there is another page.")]
    referenced: Annotated[
        list[Raw], Meta(description="The messages that `reply_to` of these names, those that you can read.")
    ]


class SnapshotRow(ConversationRow, kw_only=True):
    """A conversation with its newest messages."""

    messages: Annotated[
        list[Raw], Meta(description="The newest messages that you may read, in rising order of `seq`.")
    ]


class Snapshot(Struct):
    """What a new device shows first."""

    head: Annotated[
        int, Meta(description="From where to sync, once the device has this page. The same on all pages.")
    ]
    conversations: Annotated[list[SnapshotRow], Meta(description="The conversations of this page.")]
    cursor: Annotated[str | None, Meta(description="The `cursor` for the next page; null on the last page.")]
    more: Annotated[bool, Meta(description="Whether there is another page.")]
    referenced: Annotated[
        list[Raw], Meta(description="The messages that `reply_to` of these names, those that you can read.")
    ]
