"""What a send says of other messages and people: replies, forwards, mentions."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Raw
from msgspec.structs import replace

from domain.conversations import Members
from domain.errors import BadRequest, Conflict
from domain.ids import UserId, place_of
from domain.messages import Draft, Forward
from domain.registers import as_now
from infra.mongo.registers import registers_of
from producers.reading import Reading

ALL = "all"
MOST_MENTIONS = 50


def checked_mentions(members: Members, mentions: tuple[str, ...]) -> tuple[str, ...]:
    """Each once. Raises BadRequest for too many, and for who is no member now."""
    named = tuple(dict.fromkeys(one for one in mentions if one != ALL))
    if len(named) > MOST_MENTIONS:
        raise BadRequest(f"A message may mention {MOST_MENTIONS} members, or all.", "mentions")
    for user in named:
        if not members.has(UserId(user)):
            raise BadRequest(f"{user} is not a member of this conversation.", "mentions")
    return (ALL,) if ALL in mentions else named


@dataclass(frozen=True)
class Quoting:
    """Reads nothing for a message that quotes nothing."""

    _reading: Reading

    async def resolved(self, draft: Draft, members: Members) -> Draft:
        """The draft with its mentions, each once, and with a reply that was looked up.

        Raises NotFound for a reply to a message that the sender cannot read. Raises BadRequest for a reply to
        another conversation, and for mentions of who is no member.
        """
        if draft.mentions:
            draft = replace(draft, mentions=checked_mentions(members, draft.mentions))
        if draft.reply_to is not None:
            if place_of(draft.reply_to)[0] != draft.conversation_id:
                raise BadRequest("A reply is to a message of the same conversation.", "reply_to")
            await self._reading.message(draft.sender_id, draft.reply_to, "reply_to")
        return draft

    async def forwarded(self, draft: Draft) -> Draft:
        """The draft with kind and body of the message that it forwards, as they are now.

        Raises NotFound for a message that the sender cannot read, and Conflict for one that is recalled.
        """
        if draft.forward_of is None:
            return draft
        name = draft.forward_of.message_id
        document, _ = await self._reading.message(draft.sender_id, name, "forward_of")
        registers = registers_of(document)
        if registers.recall is not None:
            raise Conflict("The message was recalled.", "forward_of")
        now = as_now(document["m"], registers)
        forward = Forward(name, now.sender_id)
        return replace(draft, kind=now.kind, body=Raw(bytes(now.body)), forward_of=forward)
