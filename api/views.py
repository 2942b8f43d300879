"""What requests and answers look like. The OpenAPI description is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.conversations import ConversationKind
from domain.ids import CONVERSATION_ID_PATTERN, ID_PATTERN, LIST_CURSOR_PATTERN, MAX_SEQ
from domain.messages import Kind

AccountId = Annotated[str, Meta(pattern=ID_PATTERN, description="The application's own id.")]
AnyConversationId = Annotated[str, Meta(pattern=CONVERSATION_ID_PATTERN, max_length=131)]
ListCursor = Annotated[
    str, Meta(pattern=LIST_CURSOR_PATTERN, max_length=156, description="As the page before gave it.")
]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Limit = Annotated[int, Meta(ge=1, le=200)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
ClientMessageId = Annotated[str, Meta(min_length=1, max_length=128)]
Time = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds.")]


class UserPath(Struct):
    user_id: AccountId


class ConversationPath(Struct):
    conversation_id: AnyConversationId


class MemberPath(Struct):
    conversation_id: AnyConversationId
    user_id: AccountId


class PutUser(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class UserView(Struct):
    user_id: str
    name: str | None
    created_at: Time


class MintToken(Struct, forbid_unknown_fields=True):
    user_id: AccountId
    device_id: AccountId
    device_class: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    expires_in_s: Annotated[int, Meta(ge=1, le=315_360_000)] | None = None


class TokenView(Struct):
    token: str
    expires_at: Time


class OpenDirect(Struct, forbid_unknown_fields=True, tag_field="kind", tag="direct"):
    with_: AccountId = msgspec.field(name="with")


class OpenGroup(Struct, forbid_unknown_fields=True, tag_field="kind", tag="group"):
    members: Annotated[list[AccountId], Meta(max_length=10_000)]
    title: Title | None = None


class Person(Struct):
    user_id: str
    name: str | None


class ConversationView(Struct):
    """`members` and `owner_id` are there for those who are members now; `owner_id` in groups.

    `with` is the other person of a direct conversation, oneself for notes.
    """

    conversation_id: str
    kind: ConversationKind
    title: str | None
    head_seq: int
    created_at: Time
    members: list[str] | UnsetType = UNSET
    owner_id: str | UnsetType = UNSET
    with_: Person | UnsetType = msgspec.field(default=UNSET, name="with")


class Rename(Struct, forbid_unknown_fields=True):
    title: Title | None


class ListQuery(Struct, forbid_unknown_fields=True):
    cursor: ListCursor | UnsetType = UNSET
    limit: Limit = 50


class ConversationRow(Struct):
    """`with` is the other person of a direct conversation, oneself for notes."""

    conversation_id: str
    kind: ConversationKind
    title: str | None
    head_seq: int
    read_seq: int
    unread: int
    last_message: Raw | None
    with_: Person | UnsetType = msgspec.field(default=UNSET, name="with")


class ConversationList(Struct):
    conversations: list[ConversationRow]
    cursor: str | None
    more: bool


class SendMessage(Struct, forbid_unknown_fields=True):
    client_message_id: ClientMessageId
    kind: Kind
    body: Raw
    conversation_id: AnyConversationId | UnsetType = UNSET
    to: AccountId | UnsetType = UNSET


class SentView(Struct):
    message_id: str
    conversation_id: str
    seq: int
    sent_at: Time


class HistoryQuery(Struct, forbid_unknown_fields=True):
    """`after < seq < before`; from the newest backwards unless `after` is given."""

    before: Seq | UnsetType = UNSET
    after: Seq | UnsetType = UNSET
    limit: Limit = 50


class SyncQuery(Struct, forbid_unknown_fields=True):
    cursor: Seq = 0
    limit: Limit = 100
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 0


class Cursor(Struct, forbid_unknown_fields=True):
    cursor: Seq


class MessageView(Struct):
    message_id: str
    conversation_id: str
    seq: int
    sender_id: str
    client_message_id: str
    kind: Kind
    body: dict[str, Any]
    sent_at: Time


class EntryView(Struct):
    seq: int
    type: Literal["message"]
    message: MessageView


class HistoryPage(Struct):
    messages: list[MessageView]
    more: bool


class SyncPage(Struct):
    entries: list[EntryView]
    cursor: int
    head: int
    more: bool


encode = msgspec.json.Encoder().encode


def page_bytes(messages: list[bytes], more: bool) -> bytes:
    """A HistoryPage of encoded messages."""
    return b'{"messages":[%b],"more":%b}' % (b",".join(messages), b"true" if more else b"false")
