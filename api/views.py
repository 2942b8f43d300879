"""What requests and answers look like. The OpenAPI description is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain import ids
from domain.conversations import ConversationKind, Role
from domain.messages import Kind, SentKind

AccountId = Annotated[
    ids.UserId, Meta(pattern=ids.ID_PATTERN, description="The application's own id of a user.")
]
DeviceName = Annotated[
    ids.DeviceId, Meta(pattern=ids.ID_PATTERN, description="The application's own id of a device.")
]
AnyConversationId = Annotated[
    ids.ConversationId,
    Meta(pattern=ids.CONVERSATION_ID_PATTERN, max_length=131, description="The id of the conversation."),
]
ListCursor = Annotated[
    str,
    Meta(
        pattern=ids.LIST_CURSOR_PATTERN,
        max_length=165,
        description="Where the page begins: `cursor` of the page before. Leave it out for the first page.",
    ),
]
AnyMessageId = Annotated[
    str,
    Meta(
        pattern=ids.MESSAGE_ID_PATTERN,
        max_length=148,
        description="`conversation_id`, a colon, and its `seq`.",
    ),
]
Mentions = list[Annotated[str, Meta(pattern=ids.ID_PATTERN)]] | Literal["all"]
MENTIONS = 'Whom the message mentions: at most 50 members, or `"all"`.'
Seq = Annotated[int, Meta(ge=0, le=ids.MAX_SEQ)]
InboxSeq = Annotated[
    Seq,
    Meta(description="The number of the last inbox entry that the device has; 0 when it has none."),
]
Limit = Annotated[int, Meta(ge=1, le=200, description="The most items in the answer.")]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
ClientMessageId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description=(
            "The sender's own name for this message. Use the same one for every try; "
            "use a new one, such as a random UUID, for every message."
        ),
    ),
]
CreatedAt = Annotated[str, Meta(description="When it was created: RFC 3339, UTC, milliseconds.")]
SentAt = Annotated[str, Meta(description="When the message was stored: RFC 3339, UTC, milliseconds.")]


class UserPath(Struct):
    user_id: AccountId


class ConversationPath(Struct):
    conversation_id: AnyConversationId


class MemberPath(ConversationPath):
    user_id: Annotated[AccountId, Meta(description="The id of the member.")]


class PutUser(Struct, forbid_unknown_fields=True):
    """What is known about a user besides the id."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(description="The name that people see. Leave it out to keep the present one."),
    ] = None


class UserView(Struct):
    """A user."""

    user_id: AccountId
    name: Annotated[str | None, Meta(description="The name that people see; null when none was given.")]
    created_at: CreatedAt


class MintToken(Struct, forbid_unknown_fields=True):
    """Which device of which user the token is for."""

    user_id: Annotated[AccountId, Meta(description="The user that the token acts for. They must exist.")]
    device_id: Annotated[
        DeviceName,
        Meta(description="The device of that user. It is created by the first token that is made for it."),
    ]
    device_class: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="Your own word for the kind of device, such as `phone` or `web`."),
    ] = None
    expires_in_s: Annotated[
        Annotated[int, Meta(ge=1, le=315_360_000)] | None,
        Meta(description="Seconds until the token expires. Leave it out for the default of the server."),
    ] = None


class TokenView(Struct):
    """A token of one device."""

    token: Annotated[str, Meta(description="The token. Give it to that device and to nobody else.")]
    expires_at: Annotated[str, Meta(description="When the token expires: RFC 3339, UTC, milliseconds.")]


class OpenDirect(Struct, forbid_unknown_fields=True, tag_field="kind", tag="direct"):
    """A direct conversation: the same two users always get the same one."""

    with_: Annotated[
        AccountId, Meta(description="The other user. Your own id opens your notes to yourself.")
    ] = msgspec.field(name="with")


class OpenGroup(Struct, forbid_unknown_fields=True, tag_field="kind", tag="group"):
    """A group. Each call creates a new one, and the caller is its owner."""

    members: Annotated[
        list[AccountId],
        Meta(max_length=10_000, description="The other members. The caller is a member in any case."),
    ]
    title: Annotated[Title | None, Meta(description="The title that the members see.")] = None


class Person(Struct):
    """A user with the name that people see."""

    user_id: AccountId
    name: Annotated[str | None, Meta(description="Their name; null when none was given.")]


With = Annotated[
    Person,
    Meta(
        description="The other user of a direct conversation; you yourself in your notes. Absent in a group."
    ),
]


class BaseConversation(Struct):
    """What both views of a conversation begin with."""

    conversation_id: AnyConversationId
    kind: Annotated[ConversationKind, Meta(description="`direct` between two users, or `group`.")]
    title: Annotated[str | None, Meta(description="The title of a group; null when it has none.")]
    head_seq: Annotated[
        int, Meta(description="The `seq` of the newest message that you may read; 0 when there is none.")
    ]


class ConversationView(BaseConversation):
    """A conversation. `members` and `owner_id` are absent for those who have left."""

    created_at: CreatedAt
    me: Me
    members: Annotated[list[str], Meta(description="The ids of the present members.")] | UnsetType = UNSET
    owner_id: (
        Annotated[str, Meta(description="The owner of the group; absent in a direct conversation.")]
        | UnsetType
    ) = UNSET
    with_: With | UnsetType = msgspec.field(default=UNSET, name="with")


class Rename(Struct, forbid_unknown_fields=True):
    """The new title."""

    title: Annotated[Title | None, Meta(description="The new title; null removes it.")]


class MeView(Struct):
    """Your own part in a conversation. Nobody else sees it."""

    role: Annotated[Role, Meta(description="`owner`, `admin` or `member`. Always `member` in a direct one.")]
    read_seq: Annotated[int, Meta(description="Up to which `seq` you have read.")]
    unread: Annotated[int, Meta(description="How many messages of others came after it, up to 1,000.")]
    mentions: Annotated[int, Meta(description="How many of the unread messages mention you.")]
    marked_unread: Annotated[bool, Meta(description="Whether you have marked the conversation as unread.")]
    muted_until: Annotated[str | None, Meta(description="Until when it is muted; null when it is not.")]
    pinned: Annotated[bool, Meta(description="Whether you have pinned the conversation.")]
    archived: Annotated[bool, Meta(description="Whether you have archived it.")]
    draft: Annotated[str | None, Meta(description="A text that you have not sent; null without one.")]
    cleared_seq: Annotated[int, Meta(description="Up to which `seq` you have cleared it for yourself.")]
    unread_more: (
        Annotated[bool, Meta(description="True when there are more than `unread` says.")] | UnsetType
    ) = UNSET


Me = Annotated[MeView, Meta(description="Your own part in it.")]


class SendMessage(Struct, forbid_unknown_fields=True):
    """A message to a user (`to`) or into a conversation (`conversation_id`)."""

    client_message_id: ClientMessageId
    kind: Annotated[
        SentKind | None, Meta(description="What the message is. It decides what `body` holds.")
    ] = None
    body: (
        Annotated[Raw, Meta(description="What the message says, in the form that its `kind` asks for.")]
        | UnsetType
    ) = UNSET
    conversation_id: (
        Annotated[AnyConversationId, Meta(description="The conversation to send into. Give this or `to`.")]
        | None
    ) = None
    to: (
        Annotated[
            AccountId,
            Meta(description="The user to send to. Their direct conversation is opened if need be."),
        ]
        | None
    ) = None

    reply_to: Annotated[
        AnyMessageId | None, Meta(description="The message of the same conversation that this one answers.")
    ] = None
    mentions: Annotated[Mentions | None, Meta(description=MENTIONS)] = None
    forward_of: Annotated[
        AnyMessageId | None,
        Meta(description="A message to forward. Its kind and body are copied: give no others then."),
    ] = None


class _Message(Struct):
    """A message by its place."""

    message_id: Annotated[
        str, Meta(description="The name of the message for ever: `conversation_id`, a colon, and its `seq`.")
    ]
    conversation_id: AnyConversationId
    seq: Annotated[
        int,
        Meta(
            description=(
                "The place of the message in its conversation. It rises, and some numbers may be unused."
            )
        ),
    ]


class SentView(_Message):
    """Where the message stands. A repetition of the same send gets the same answer."""

    sent_at: SentAt


class HistoryQuery(Struct, forbid_unknown_fields=True):
    """`after < seq < before`; from the newest backwards unless `after` is given."""

    before: (
        Annotated[
            Seq, Meta(description="Only messages with a smaller `seq`. Leave it out to begin at the newest.")
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[Seq, Meta(description="Only messages with a greater `seq`, read from the oldest onwards.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[Limit, Meta(description="The most messages in the answer.")] = 50


class SyncQuery(Struct, forbid_unknown_fields=True):
    cursor: InboxSeq = 0
    limit: Annotated[Limit, Meta(description="The most entries in the answer.")] = 100
    wait_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description=(
                "How many seconds the answer may be held when nothing is new. "
                "It comes as soon as there is something."
            ),
        ),
    ] = 0


class Cursor(Struct, forbid_unknown_fields=True):
    """How far a device is in its user's inbox."""

    cursor: InboxSeq


class RecalledView(Struct):
    """Who recalled a message, and when."""

    by: Annotated[str, Meta(description="The user who recalled it.")]
    at: Annotated[str, Meta(description="When it was recalled.")]


class ForwardView(Struct):
    """The message that was forwarded."""

    message_id: Annotated[str, Meta(description="The message that was forwarded.")]
    sender_id: Annotated[str, Meta(description="The user who had sent it.")]


class ReactionView(Struct):
    """One reaction to a message."""

    count: Annotated[int, Meta(description="How many users gave it.")]
    by: Annotated[list[str], Meta(description="The first users who gave it, at most 20.")]
    mine: Annotated[bool, Meta(description="True if you gave it. Absent in entries.")] | UnsetType = UNSET


class MessageView(_Message):
    """A message as it is now. Fields that do not apply are absent."""

    sender_id: Annotated[str, Meta(description="The user who sent it.")]
    client_message_id: Annotated[str, Meta(description="The name that the sender gave it.")]
    kind: Annotated[Kind, Meta(description="What the message is. It decides what `body` holds.")]
    body: Annotated[dict[str, Any], Meta(description="What the message says, as it was sent.")]
    sent_at: SentAt
    rev: (
        Annotated[
            int,
            Meta(description="The revision of the content, once changed. The higher wins."),
        ]
        | UnsetType
    ) = UNSET
    edited_at: Annotated[str, Meta(description="When it was edited last.")] | UnsetType = UNSET
    recalled: (
        Annotated[RecalledView, Meta(description="That it was taken back. `body` is empty then.")] | UnsetType
    ) = UNSET
    reply_to: Annotated[str, Meta(description="The message that this one answers.")] | UnsetType = UNSET
    forward_of: Annotated[ForwardView, Meta(description="What was forwarded.")] | UnsetType = UNSET
    mentions: (
        Annotated[list[str], Meta(description="The members whom it mentions, or `all`.")] | UnsetType
    ) = UNSET
    reactions: (
        Annotated[dict[str, ReactionView], Meta(description="The reactions, by their key.")] | UnsetType
    ) = UNSET
    pinned: Annotated[bool, Meta(description="True for a pinned message.")] | UnsetType = UNSET


class HistoryPage(Struct):
    """A page of a conversation."""

    messages: Annotated[list[MessageView], Meta(description="The messages, always in rising order of `seq`.")]
    more: Annotated[bool, Meta(description="Whether there are more messages in the direction of reading.")]
    referenced: Annotated[
        list[MessageView], Meta(description="The messages that `reply_to` names, those that you can read.")
    ]


encode = msgspec.json.Encoder().encode


def page_bytes(messages: list[bytes], more: bool, referenced: list[bytes]) -> bytes:
    """A HistoryPage of encoded messages."""
    parts = b",".join(messages), b"true" if more else b"false", b",".join(referenced)
    return b'{"messages":[%b],"more":%b,"referenced":[%b]}' % parts
