"""What entries look like, by their type, and the pages that hold them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from api.views import MessageView, ReactionView

EntrySeq = Annotated[int, Meta(description="Its number in the inbox: 1, 2, 3 and so on, without a gap.")]
Rev = Annotated[int, Meta(description="The revision. Who knows a higher one ignores this.")]
ConversationName = Annotated[str, Meta(description="The conversation.")]
MessageName = Annotated[str, Meta(description="The message.")]
MessageNow = Annotated[MessageView, Meta(description="The message as it is now.")]


class MessageEntry(Struct, tag_field="type", tag="message"):
    """A message arrived, or one of your own was sent."""

    seq: EntrySeq
    message: MessageNow


class EditEntry(Struct, tag_field="type", tag="edit"):
    """A message was edited."""

    seq: EntrySeq
    edit: MessageNow


class RecallEntry(Struct, tag_field="type", tag="recall"):
    """A message was recalled for all."""

    seq: EntrySeq
    recall: MessageNow


class ReactionsView(Struct):
    """All reactions to a message."""

    message_id: MessageName
    rev: Rev
    reactions: Annotated[dict[str, ReactionView], Meta(description="The reactions, by their key.")]


class ReactionsEntry(Struct, tag_field="type", tag="reactions"):
    """The reactions to a message changed."""

    seq: EntrySeq
    reactions: Annotated[ReactionsView, Meta(description="All reactions to the message.")]


class PinView(Struct):
    """Whether a message is pinned."""

    message_id: MessageName
    rev: Rev
    pinned: Annotated[bool, Meta(description="Whether it is pinned.")]
    by: Annotated[str, Meta(description="The user who pinned it, or took the pin away.")]


class PinEntry(Struct, tag_field="type", tag="pin"):
    """A message was pinned, or is pinned no more."""

    seq: EntrySeq
    pin: Annotated[PinView, Meta(description="Whether the message is pinned.")]


class ReadNowView(Struct):
    """Your read mark, and what is unread behind it."""

    conversation_id: ConversationName
    read_seq: Annotated[int, Meta(description="Up to which `seq` you have read.")]
    unread: Annotated[int, Meta(description="How many messages of others came after it, up to 1,000.")]
    marked_unread: Annotated[bool, Meta(description="Whether you have marked the conversation as unread.")]
    rev: Rev
    unread_more: (
        Annotated[bool, Meta(description="True when there are more than `unread` says.")] | UnsetType
    ) = UNSET


class ReadEntry(Struct, tag_field="type", tag="read"):
    """You have read on one of your devices, or marked a conversation as unread."""

    seq: EntrySeq
    read: Annotated[ReadNowView, Meta(description="The read mark.")]


class ReceiptView(Struct):
    """How far the other one of a direct conversation is."""

    conversation_id: ConversationName
    user_id: Annotated[str, Meta(description="The other one.")]
    read_seq: Annotated[int, Meta(description="Up to which `seq` they have read.")] | UnsetType = UNSET
    delivered_seq: (
        Annotated[int, Meta(description="Up to which `seq` a device of theirs has the messages.")] | UnsetType
    ) = UNSET


class ReceiptEntry(Struct, tag_field="type", tag="receipt"):
    """The other one of a direct conversation has read, or has the messages on a device."""

    seq: EntrySeq
    receipt: Annotated[ReceiptView, Meta(description="How far they are.")]


class SettingsView(Struct):
    """Your settings of a conversation. What is absent is not set."""

    conversation_id: ConversationName
    pinned: Annotated[bool, Meta(description="Whether you have pinned the conversation.")]
    archived: Annotated[bool, Meta(description="Whether you have archived it.")]
    rev: Rev
    muted_until: Annotated[str, Meta(description="Until when it is muted.")] | UnsetType = UNSET
    draft: Annotated[str, Meta(description="A text that you have not sent.")] | UnsetType = UNSET
    cleared_seq: Annotated[int, Meta(description="Up to which `seq` you have cleared it.")] | UnsetType = (
        UNSET
    )


class SettingsEntry(Struct, tag_field="type", tag="settings"):
    """You have changed the settings of a conversation on one of your devices."""

    seq: EntrySeq
    settings: Annotated[SettingsView, Meta(description="All settings of the conversation.")]


class HiddenView(Struct):
    """A message that you deleted for yourself."""

    message_id: MessageName


class HiddenEntry(Struct, tag_field="type", tag="hidden"):
    """You have deleted a message for yourself on one of your devices."""

    seq: EntrySeq
    hidden: Annotated[HiddenView, Meta(description="The message.")]


EntryView = (
    MessageEntry
    | EditEntry
    | RecallEntry
    | ReactionsEntry
    | PinEntry
    | ReadEntry
    | ReceiptEntry
    | SettingsEntry
    | HiddenEntry
)


class SyncPage(Struct):
    """What came after the cursor."""

    entries: Annotated[list[EntryView], Meta(description="The entries, in order, each once.")]
    cursor: Annotated[int, Meta(description="The cursor for the next pull. Store it with the entries.")]
    head: Annotated[int, Meta(description="The number of the newest entry that there is.")]
    more: Annotated[bool, Meta(description="Whether to pull again at once.")]
