"""What requests about a message and about own state look like, and their answers."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from api.errors import ErrorBody
from api.views import (
    MENTIONS,
    AnyMessageId,
    ClientMessageId,
    Mentions,
    MessageView,
    ReactionView,
    Seq,
)

MOST_IN_BATCH = 100
DRAFT_BYTES = 4_000


class MessagePath(Struct):
    message_id: Annotated[AnyMessageId, Meta(description="The id of the message.")]


class ReactionPath(MessagePath):
    key: Annotated[str, Meta(min_length=1, max_length=32, description="One emoji, or `:name:`.")]


class EditMessage(Struct, forbid_unknown_fields=True):
    """The new content of a message."""

    client_message_id: Annotated[
        ClientMessageId, Meta(description="Your own name for this edit. Use the same one for every try.")
    ]
    body: Annotated[
        Raw, Meta(description="The new content, in the form that the kind of the message asks for.")
    ]
    mentions: Annotated[
        Mentions | None, Meta(description=MENTIONS + " Leave it out to keep those of before.")
    ] = None


class VersionView(Struct):
    """What a message said from some time on."""

    rev: Annotated[int, Meta(description="The revision: the `seq` of the message, then that of each edit.")]
    body: Annotated[dict[str, Any], Meta(description="What it said.")]
    at: Annotated[str, Meta(description="Since when.")]


class Versions(Struct):
    """All versions of a message."""

    versions: Annotated[list[VersionView], Meta(description="The oldest first, the present one last.")]


class Nothing(Struct):
    """It is done."""


class NothingAsked(Struct, forbid_unknown_fields=True):
    """This call takes an empty object."""


class ReactionsAnswer(Struct):
    """All reactions to the message."""

    message_id: Annotated[str, Meta(description="The message.")]
    reactions: Annotated[dict[str, ReactionView], Meta(description="The reactions, by their key.")]


class PinAnswer(Struct):
    """Whether the message is pinned."""

    message_id: Annotated[str, Meta(description="The message.")]
    pinned: Annotated[bool, Meta(description="Whether it is pinned.")]


class Pins(Struct):
    """The pinned messages of a conversation."""

    messages: Annotated[list[MessageView], Meta(description="The messages, the one pinned last first.")]
    referenced: Annotated[
        list[MessageView], Meta(description="The messages that `reply_to` names, those that you can read.")
    ]


class Reader(Struct):
    """Who has read a message."""

    user_id: Annotated[str, Meta(description="The user.")]
    read_at: Annotated[
        str, Meta(description="When their read mark moved last, here or beyond: RFC 3339, UTC, milliseconds.")
    ]


class Readers(Struct):
    """The members who have read a message, without its sender."""

    readers: Annotated[list[Reader], Meta(description="Who has read it, by id.")]


class Batch(Struct, forbid_unknown_fields=True):
    """Several messages. Each is sent, or refused, by itself."""

    messages: Annotated[
        list[Raw],
        Meta(min_length=1, max_length=MOST_IN_BATCH, description="Each as for `POST /v1/messages`."),
    ]


class BatchResult(Struct, omit_defaults=True):
    """The answer to one message as `POST /v1/messages` gives it, or the error."""

    message_id: Annotated[str, Meta(description="The id of the message.")] | UnsetType = UNSET
    conversation_id: Annotated[str, Meta(description="Its conversation.")] | UnsetType = UNSET
    seq: Annotated[int, Meta(description="Its place there.")] | UnsetType = UNSET
    sent_at: Annotated[str, Meta(description="When it was stored.")] | UnsetType = UNSET
    error: Annotated[ErrorBody, Meta(description="Why it was not sent.")] | UnsetType = UNSET


class BatchAnswer(Struct):
    """What came of each message, in order."""

    results: Annotated[list[BatchResult], Meta(description="The answer or the error of each message.")]


class ReadUpTo(Struct, forbid_unknown_fields=True):
    """Up to where you have read."""

    seq: Annotated[Seq, Meta(description="The `seq` of the newest message that you have seen.")]


class ReadView(Struct):
    """Your read mark, and what is unread behind it."""

    read_seq: Annotated[int, Meta(description="Up to which `seq` you have read.")]
    unread: Annotated[int, Meta(description="How many messages of others came after it, up to 1,000.")]
    marked_unread: Annotated[bool, Meta(description="Whether you have marked the conversation as unread.")]
    unread_more: (
        Annotated[bool, Meta(description="True when there are more than `unread` says.")] | UnsetType
    ) = UNSET


class ChangeMe(Struct, forbid_unknown_fields=True):
    """The settings to change. Those that are absent stay. At least one is given."""

    muted_until: (
        Annotated[
            Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"})] | None,
            Meta(description="Until when to mute: RFC 3339. Null ends it."),
        ]
        | UnsetType
    ) = UNSET
    pinned: Annotated[bool | None, Meta(description="Whether to pin the conversation.")] | UnsetType = UNSET
    archived: Annotated[bool | None, Meta(description="Whether to archive it.")] | UnsetType = UNSET
    draft: (
        Annotated[
            str | None,
            Meta(description=f"A text to go on with, {DRAFT_BYTES} bytes at most. Null removes it."),
        ]
        | UnsetType
    ) = UNSET
    cleared_seq: (
        Annotated[
            Seq | None,
            Meta(description="Clear the conversation for yourself up to this `seq`. Only moves forward."),
        ]
        | UnsetType
    ) = UNSET
