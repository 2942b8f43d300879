"""Names of things, and the pure rules that make them."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from typing import NewType

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
ConversationId = NewType("ConversationId", str)

# Python's `$` also matches before a last newline; `(?!\n)` makes it the end, as it is in JSON Schema.
# Clients and proxies resolve `.` and `..` in a path, so nobody could address a user of this name.
_ACCOUNT_ID = r"(?!\.{1,2}(?![A-Za-z0-9_.@-]))[A-Za-z0-9_.@-]{1,64}"
ID_PATTERN = rf"^{_ACCOUNT_ID}$(?!\n)"
CONVERSATION_ID_PATTERN = rf"^(d:{_ACCOUNT_ID}:{_ACCOUNT_ID}|g:[a-z2-7]{{16}})$(?!\n)"
# A page of the list of conversations begins behind an inbox seq, or behind a time and a conversation. Before
# that stands the head of the inbox at the first page.
LIST_CURSOR_PATTERN = r"^[0-9]{1,16}\.[0-9]{1,16}(~" + CONVERSATION_ID_PATTERN[1:].replace(
    "$(?!\\n)", r")?$(?!\n)"
)
MESSAGE_ID_PATTERN = CONVERSATION_ID_PATTERN.replace("$(?!\\n)", r":[1-9][0-9]{0,15}$(?!\n)")
MAX_SEQ = 2**53 - 1

_account_id = re.compile(ID_PATTERN)


def id_list_pattern(most: int) -> str:
    """One to so many ids with commas between them."""
    return rf"^{_ACCOUNT_ID}(,{_ACCOUNT_ID}){{0,{most - 1}}}$(?!\n)"


def direct_id(one: UserId, other: UserId) -> ConversationId:
    """The conversation of two people, the same for both. With oneself it holds one's notes."""
    low, high = sorted((one, other))
    return ConversationId(f"d:{low}:{high}")


def direct_pair(conversation: ConversationId) -> tuple[UserId, UserId] | None:
    """The two people of a direct conversation (twice the same for notes); None for a group."""
    if not conversation.startswith("d:"):
        return None
    _, low, high = conversation.split(":")
    return UserId(low), UserId(high)


def other_of(user: UserId, conversation: ConversationId) -> UserId | None:
    """The other person of the user's direct conversation; the user for notes to oneself; None for a group."""
    pair = direct_pair(conversation)
    if pair is None:
        return None
    return pair[1] if pair[0] == user else pair[0]


def is_group(conversation: ConversationId) -> bool:
    return conversation.startswith("g:")


def own_id(user: UserId) -> ConversationId:
    """Where the own state of a user has its numbers: read marks, settings and so on. No client names it."""
    return ConversationId(f"u:{user}")


def owner_of(conversation: ConversationId) -> UserId | None:
    """The user whose own state this is; None for a conversation of people."""
    return UserId(conversation[2:]) if conversation.startswith("u:") else None


def new_group_id() -> ConversationId:
    """A fresh random group id: 80 random bits in base32."""
    return ConversationId("g:" + base64.b32encode(secrets.token_bytes(10)).decode().lower())


def is_account_id(text: str) -> bool:
    """Whether the text may be the id of a user or a device; says nothing of its existence."""
    return _account_id.match(text) is not None


def message_id(conversation: ConversationId, seq: int) -> str:
    """The permanent name of a message: its conversation and its place there."""
    return f"{conversation}:{seq}"


def place_of(message: str) -> tuple[ConversationId, int]:
    """The conversation and the seq of a message id, which must be of its form."""
    conversation, _, seq = message.rpartition(":")
    return ConversationId(conversation), int(seq)


def inbox_partition(user: UserId, partitions: int) -> int:
    """The partition in which a user's inbox is written: CRC-32 of the id, modulo.

    It must not change while the `deliveries` topic exists. Every process computes the same.
    """
    return zlib.crc32(user.encode()) % partitions
