"""A user's own state in a conversation: the read mark, the mark as unread, and settings."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from domain.changes import Change, Marked, Settings
from domain.conversations import Member
from domain.errors import BadRequest
from domain.ids import ConversationId, UserId, other_of, own_id
from domain.own_state import Receipt
from infra.mongo.unread import Unread, UnreadCounts
from producers.reading import Reading
from producers.send import Sender

_encode = msgspec.json.Encoder().encode


class State(NamedTuple):
    """A member's part in a conversation, and what is unread there."""

    member: Member
    unread: Unread


@dataclass(frozen=True)
class Marks:
    """Own state goes to all devices of its user, and a read mark to the other one of a direct conversation.

    Each verb is durable and in effect when it returns. What changes nothing costs reads only, and makes no
    entry. Raises NotFound, Forbidden for who was never a member, BadRequest, Overloaded, Unavailable.
    """

    _sender: Sender
    _reading: Reading
    _unread: UnreadCounts

    async def state(self, user: UserId, conversation: ConversationId) -> State:
        member = await self._reading.part(user, conversation)
        return State(member, (await self._unread.of(user, [(conversation, member)]))[0])

    async def read(self, user: UserId, conversation: ConversationId, seq: int) -> State:
        """Move the read mark forward to this seq. Clears the mark as unread, also if the mark stays."""
        member = await self._reading.part(user, conversation)
        moves = seq > member.own.read_seq
        if moves and seq > await self._reading.head(conversation, member):
            raise BadRequest("The conversation does not reach to this seq.", "seq")
        if moves:
            await self._tell_other(user, conversation, seq)
            # A mark moves to a seq once, so calls that overlap make one entry.
            await self._named("read", user, f"{conversation}:{seq}", Marked(conversation, seq))
        elif member.own.marked_unread:
            await self._send("read", user, f"{conversation}:{seq}", Marked(conversation, seq))
        return await self.state(user, conversation)

    async def mark_unread(self, user: UserId, conversation: ConversationId) -> State:
        member = await self._reading.part(user, conversation)
        if not member.own.marked_unread:
            await self._send("read", user, f"{conversation}:unread", Marked(conversation))
        return await self.state(user, conversation)

    async def set(self, user: UserId, conversation: ConversationId, fields: Mapping[str, Any]) -> State:
        """Change settings, by their names in `Own`. `cleared_seq` only moves forward."""
        member = await self._reading.part(user, conversation)
        changed = {name: value for name, value in fields.items() if value != getattr(member.own, name)}
        cleared = changed.get("cleared_seq", 0)
        if cleared > member.own.cleared_seq:
            if cleared > await self._reading.head(conversation, member):
                raise BadRequest("The conversation does not reach to this seq.", "cleared_seq")
        else:
            changed.pop("cleared_seq", None)
        if changed:
            await self._send("settings", user, conversation, Settings(conversation, changed))
        return await self.state(user, conversation)

    async def _send(self, type_: Any, user: UserId, about: str, value: Struct) -> None:
        await self._named(type_, user, f"{about}:{secrets.token_hex(8)}", value)

    async def _named(self, type_: Any, user: UserId, name: str, value: Struct) -> None:
        await self._sender.change(Change(type_, own_id(user), user, name, 0, Raw(_encode(value))))

    async def _tell_other(self, user: UserId, conversation: ConversationId, seq: int) -> None:
        """Before the mark moves, so that a try that ends in between is made up for by the next one."""
        other = other_of(user, conversation)
        if other is None or other == user:
            return
        receipt = Receipt(conversation, user, read_seq=seq)
        name = f"{conversation}:{user}:read:{seq}"
        await self._sender.change(Change("receipt", own_id(other), other, name, 0, Raw(_encode(receipt))))
