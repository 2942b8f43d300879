"""Stored changes take effect: the message or the own state that they are about is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Struct

from domain.changes import Edited, Kept, Marked, Settings, kept_of
from domain.clock import ms_of
from domain.conversations import Member, Own
from domain.ids import ConversationId, UserId, owner_of, place_of
from domain.own_state import Hidden, ReadNow, settings_now
from infra.crash import crash_point
from infra.mongo.contents import Content, Contents
from infra.mongo.conversations import ConversationStore, own_writes, read_write
from infra.mongo.messages import CARRIED, MessageStore, Stored
from infra.mongo.registers import edit_write, hidden_write, id_of, pin_write, recall_write, told_write
from infra.mongo.rows import Place
from infra.mongo.terms import Document, Write
from infra.mongo.unread import Unread, UnreadCounts

_edited = msgspec.json.Decoder(Edited).decode
_marked = msgspec.json.Decoder(Marked).decode
_settings = msgspec.json.Decoder(Settings).decode
_hidden = msgspec.json.Decoder(Hidden).decode
_pinned = msgspec.json.Decoder(bool).decode
_encode = msgspec.json.Encoder().encode

Part = tuple[ConversationId, UserId]
"""A conversation, and the member whose own state in it is meant."""


class _Named(Struct):
    conversation_id: ConversationId


_named = msgspec.json.Decoder(_Named).decode


@dataclass(frozen=True)
class Changes:
    """A change is stored first, then takes effect, and then is spread.

    Whoever spreads it makes sure of the effect: the commit, and the relay in its place. So a change may take
    effect several times, in any order with others, which does no harm (`infra/mongo/registers.py`).
    Raises Unavailable.
    """

    _messages: MessageStore
    _conversations: ConversationStore
    _contents: Contents
    _unread: UnreadCounts

    async def settled(self, places: Iterable[Place]) -> dict[Place, Content]:
        """What is stored at these places, as its entries carry it now, with each change in effect."""
        return await self._settle(await self._messages.documents(places, CARRIED))

    async def settle(self, stored: Sequence[Stored]) -> dict[Place, Content]:
        """The same of changes that are at hand. Writes once for messages and once for own state."""
        found: dict[Place, Document] = {
            (one.conversation_id, one.seq): {
                "f": one.sender_id,
                "t": one.type,
                "g": one.target,
                "m": one.message,
            }
            for one in stored
        }
        return await self._settle(found)

    async def _settle(self, found: Mapping[Place, Document]) -> dict[Place, Content]:
        kept = {place: kept_of(d["m"]) for place, d in found.items() if d.get("t") is not None}
        if kept:
            of_messages: list[Write] = []
            of_members: list[Write] = []
            for place, change in kept.items():
                document = found[place]
                of_messages += _message_writes(place, document, change)
                of_members += _member_writes(place, document["t"], change)
            await self._messages.change_each(of_messages)
            await self._conversations.set_own(of_members)
            crash_point("changed")
            await self._show_own(found, kept)
        return await self._contents.read(found)

    async def _show_own(self, found: Mapping[Place, Document], kept: Mapping[Place, Kept]) -> None:
        """Write down what the entries of read marks and settings carry, as it is now.

        Their `rev` is the version of the state that they show. Changes may take effect in another order than
        that of their numbers, and the one that was last shows all of them.
        """
        asked = _parts_of(found, kept)
        parts = await self._conversations.parts(set(asked.values()))
        asked = {place: part for place, part in asked.items() if part in parts}
        read = {part for place, part in asked.items() if found[place]["t"] == "read"}
        counts = await self._counts({part: parts[part] for part in read})
        for place, part in asked.items():
            own = parts[part].own
            is_read = found[place]["t"] == "read"
            now = _read_now(part[0], own, counts[part]) if is_read else settings_now(part[0], own)
            found[place]["v"] = _encode(now)
        await self._messages.change_each(
            [Write({"_id": id_of(place)}, {"$set": {"v": found[place]["v"]}}) for place in asked]
        )

    async def _counts(self, members: Mapping[Part, Member]) -> dict[Part, Unread]:
        """What is unread for each, by two or three reads for each user."""
        counts: dict[Part, Unread] = {}
        for user in {user for _, user in members}:
            theirs = [(part, member) for part, member in members.items() if part[1] == user]
            unread = await self._unread.of(user, [(part[0], member) for part, member in theirs])
            counts |= {part: count for (part, _), count in zip(theirs, unread, strict=True)}
        return counts


def _parts_of(found: Mapping[Place, Document], kept: Mapping[Place, Kept]) -> dict[Place, Part]:
    """Whose part in which conversation the read marks and settings among these are about."""
    parts: dict[Place, Part] = {}
    for place, change in kept.items():
        user = owner_of(place[0])
        if user is not None and found[place]["t"] in {"read", "settings"}:
            parts[place] = (_named(change.value).conversation_id, user)
    return parts


def _read_now(conversation: ConversationId, own: Own, count: Unread) -> ReadNow:
    more = count.more or UNSET
    return ReadNow(conversation, own.read_seq, count.unread, own.marked_unread, own.version, more)


def _message_writes(place: Place, document: Document, change: Kept) -> list[Write]:
    conversation, rev = place
    target = (conversation, document["g"])
    match document["t"]:
        case "edit":
            edited = _edited(change.value)
            return [edit_write(target, rev, bytes(edited.body), edited.mentions or (), change.at)]
        case "recall":
            return [recall_write(target, rev, change.by, change.at)]
        case "pin":
            return [pin_write(target, rev, change.by, _pinned(change.value))]
        case "reactions":
            return [told_write(target, rev)]
        case "hidden":
            return [hidden_write(place_of(_hidden(change.value).message_id), change.by)]
    return []


def _member_writes(place: Place, type_: str, change: Kept) -> list[Write]:
    user, rev = owner_of(place[0]), place[1]
    if user is None:
        return []
    match type_:
        case "read":
            marked = _marked(change.value)
            flag = own_writes(marked.conversation_id, user, rev, {"marked_unread": marked.seq is None})
            if marked.seq is None:
                return flag
            return [read_write(marked.conversation_id, user, marked.seq, ms_of(change.at)), *flag]
        case "settings":
            given = _settings(change.value)
            return own_writes(given.conversation_id, user, rev, given.fields)
    return []
