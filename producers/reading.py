"""What a user can read: messages of their stays that they have neither hidden nor cleared."""

from __future__ import annotations

from dataclasses import dataclass

from domain.conversations import Member
from domain.errors import NotFound
from domain.ids import ConversationId, UserId, place_of
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import CARRIED, MessageStore
from infra.mongo.rows import Place
from infra.mongo.terms import Document
from producers.membership import Membership

FIELDS = (*CARRIED, "hid", "ad")


def visible(document: Document, user: UserId, member: Member) -> bool:
    """Whether the user can read what this document holds. `document` has at least `t` and `hid`."""
    seq = document["_id"]["q"]
    return (
        document.get("t") is None
        and member.holds(seq)
        and seq > member.own.cleared_seq
        and user not in document.get("hid", ())
    )


@dataclass(frozen=True)
class Reading:
    """Reads of single messages, one or two documents each. Raises Unavailable."""

    _messages: MessageStore
    _conversations: ConversationStore
    _membership: Membership

    async def message(
        self, user: UserId, message_id: str, field: str = "message_id"
    ) -> tuple[Document, Member]:
        """The message's document, and the user's part in its conversation.

        Raises NotFound for a message that is not there, and for one that the user cannot read.
        """
        place = place_of(message_id)
        part = (await self._conversations.parts([(place[0], user)])).get((place[0], user))
        document = (await self._messages.documents([place], FIELDS)).get(place) if part else None
        if part is None or document is None or not visible(document, user, part):
            raise NotFound("There is no such message.", field)
        return document, part

    async def document(self, place: Place) -> Document:
        """The document of a message, whoever can read it. Raises NotFound."""
        document = (await self._messages.documents([place], FIELDS)).get(place)
        if document is None or document.get("t") is not None:
            raise NotFound("There is no such message.", "message_id")
        return document

    async def part(self, user: UserId, conversation: ConversationId) -> Member:
        """The user's part in a conversation. Raises NotFound, Forbidden."""
        part = (await self._conversations.parts([(conversation, user)])).get((conversation, user))
        return part or (await self._membership.seen_by(user, conversation)).by_user[user]

    async def newest(self, user: UserId, conversation: ConversationId, member: Member) -> Document | None:
        """The newest message that the user can read."""
        for window in reversed(member.windows):
            low, high = max(window.joined, member.own.cleared_seq + 1), window.left - 1
            while low <= high:
                found = await self._messages.page(conversation, low, high, 1, newest=True)
                if not found:
                    break
                if visible(found[0], user, member):
                    return found[0]
                high = found[0]["_id"]["q"] - 1
        return None

    async def head(self, conversation: ConversationId, member: Member) -> int:
        """The seq of the newest message of the member's stays, hidden and cleared ones included. 0 without
        one.
        """
        for window in reversed(member.windows):
            found = await self._messages.page(conversation, window.joined, window.left - 1, 1, newest=True)
            if found:
                return int(found[0]["_id"]["q"])
        return 0
