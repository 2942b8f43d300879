"""What people do to messages: edit, recall, pin, and hide from themselves."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import nullcontext
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import msgspec
from msgspec import Raw

from domain.changes import Change, Edited
from domain.clock import ms_of, now_ms
from domain.errors import Conflict, Forbidden, NotFound, RingpostError, Unavailable
from domain.ids import ConversationId, UserId, own_id, place_of
from domain.messages import checked_body, given
from domain.own_state import Hidden
from domain.registers import as_now
from domain.rights import may_pin, may_recall
from infra.mongo.messages import MessageStore
from infra.mongo.registers import MOST_EDITS, registers_of
from infra.mongo.terms import Document
from infra.settings import MessageSettings
from producers.membership import Membership
from producers.quoting import checked_mentions
from producers.reading import FIELDS, Reading
from producers.send import Sender

MOST_PINS = 100

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Revise:
    """Each verb is durable and in effect when it returns, and a repetition changes nothing.

    Raises NotFound for a message that the caller cannot read, and Forbidden for what they may not do. Raises
    Conflict for a message that is recalled, and for a limit that is reached. Raises Overloaded, Unavailable.
    """

    _sender: Sender
    _reading: Reading
    _messages: MessageStore
    _membership: Membership
    _settings: MessageSettings
    _pinning: WeakValueDictionary[ConversationId, asyncio.Lock] = field(
        default_factory=WeakValueDictionary, init=False
    )
    """Pins of one conversation are set one after the other here, so that their limit holds."""

    async def edit(
        self,
        caller: UserId,
        message_id: str,
        client_message_id: str,
        body: Raw,
        mentions: tuple[str, ...] | None,
    ) -> Document:
        """Give the message other content. Returns its document. Mentions stay if none are given."""
        document, _ = await self._reading.message(caller, message_id)
        conversation, seq = place_of(message_id)
        members = await self._membership.with_member(caller, conversation)
        now = as_now(document["m"], registers_of(document))
        if now.sender_id != caller:
            raise Forbidden("Only the sender edits a message.", "message_id")
        body = checked_body(now.kind, body)
        if mentions is not None:
            mentions = checked_mentions(members, mentions)
        said = Raw(json.dumps(given(now.kind, body)).encode())
        asked = Edited(said, None if mentions is None else list(mentions))
        stays = now.mentions or ()
        value = Edited(body, list(stays if mentions is None else mentions))
        name = f"{caller}\0{seq}\0{client_message_id}"
        change = Change(
            "edit", conversation, caller, name, seq, Raw(_encode(value)), asked=Raw(_encode(asked))
        )
        try:
            self._check_edit(document)
        except RingpostError as error:
            await self._must_be_repeated(change, error)
            return document
        edited = await self._sender.change(change, len(members.by_user))
        return await self._in_effect(message_id, edited.sent.seq)

    def _check_edit(self, document: Document) -> None:
        registers = registers_of(document)
        if registers.recall is not None:
            raise Conflict("The message was recalled.", "message_id")
        if "forward_of" in msgspec.json.decode(document["m"]):
            raise Forbidden("A forwarded message is not edited.", "message_id")
        within_s = self._settings.edit_within_s
        if _age_ms(document) > within_s * 1000:
            raise Forbidden(f"A message is edited within {within_s} s.", "message_id")
        if registers.edit is not None and len(registers.edit.revs) >= MOST_EDITS:
            raise Conflict(f"A message is edited {MOST_EDITS} times at the most.", "message_id")

    async def _must_be_repeated(self, change: Change, error: RingpostError) -> None:
        """Raises the error unless this edit was made before, when it was still possible."""
        place = (change.conversation_id, change.key())
        earlier = (await self._messages.by_key([place])).get(place)
        if earlier is None:
            raise error
        if earlier.content_hash != change.content_hash():
            raise Conflict("This client_message_id was used for another edit.", "client_message_id")

    async def _in_effect(self, message_id: str, rev: int) -> Document:
        """The message, which shows the edit. Raises Conflict for an edit that came too late."""
        document = await self._now(message_id)
        registers = registers_of(document)
        if registers.edit is None or rev not in registers.edit.revs:
            if registers.recall is not None:
                raise Conflict("The message was recalled.", "message_id")
            raise Conflict(f"A message is edited {MOST_EDITS} times at the most.", "message_id")
        return document

    async def recall(self, caller: UserId, message_id: str) -> Document:
        """Take the message back, for all and for ever. Returns its document."""
        document, _ = await self._reading.message(caller, message_id)
        conversation, seq = place_of(message_id)
        registers = registers_of(document)
        if registers.recall is not None and registers.recall.by == caller:
            return document
        members = await self._membership.with_member(caller, conversation)
        in_time = _age_ms(document) <= self._settings.recall_within_s * 1000
        if not may_recall(members, caller, UserId(document["f"]), in_time=in_time):
            raise Forbidden("You may not recall this message, or not any more.", "message_id")
        if registers.recall is None:
            change = Change("recall", conversation, caller, str(seq), seq)
            await self._sender.change(change, len(members.by_user))
        return await self._now(message_id)

    async def hide(self, caller: UserId, message_id: str) -> None:
        """Delete the message for the caller alone. They cannot read it any more."""
        change = Change("hidden", own_id(caller), caller, message_id, 0, Raw(_encode(Hidden(message_id))))
        try:
            await self._reading.message(caller, message_id)
        except NotFound as error:
            await self._must_be_repeated(change, error)
            return
        await self._sender.change(change)

    async def pin(self, caller: UserId, message_id: str, *, on: bool) -> bool:
        """Pin the message for all, or take the pin away. Returns whether it is pinned."""
        document, _ = await self._reading.message(caller, message_id)
        conversation, seq = place_of(message_id)
        members = await self._membership.with_member(caller, conversation)
        if not may_pin(members, caller):
            raise Forbidden("Only admins and the owner of a group pin messages.", "message_id")
        registers = registers_of(document)
        if registers.recall is not None:
            raise Conflict("The message was recalled.", "message_id")
        if on == (registers.pin is not None and registers.pin.on):
            return on
        change = Change("pin", conversation, caller, secrets.token_hex(8), seq, Raw(_encode(on)))
        async with self._pinning.setdefault(conversation, asyncio.Lock()) if on else nullcontext():
            if on and len(await self._messages.pinned(conversation)) >= MOST_PINS:
                raise Conflict(f"A conversation has {MOST_PINS} pinned messages at the most.", "message_id")
            await self._sender.change(change, len(members.by_user))
        if registers_of(await self._now(message_id)).recall is not None:
            raise Conflict("The message was recalled.", "message_id")
        return on

    async def _now(self, message_id: str) -> Document:
        place = place_of(message_id)
        found = await self._messages.documents([place], FIELDS)
        if place not in found:
            raise Unavailable("The message store has lost a message.")
        return found[place]


def _age_ms(document: Document) -> int:
    return now_ms() - ms_of(msgspec.json.decode(document["m"])["sent_at"])
