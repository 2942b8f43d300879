"""Turns what a client sends into what is stored. HTTP and WebSocket share it."""

from __future__ import annotations

from msgspec import UNSET

from api.views import SendMessage
from domain.devices import Device
from domain.errors import BadRequest
from domain.ids import ConversationId, UserId
from domain.messages import Draft


def draft_of(device: Device, asked: SendMessage) -> tuple[Draft, UserId | None]:
    """The draft, and the user it goes to if the client named no conversation. Raises BadRequest."""
    if (asked.conversation_id is UNSET) == (asked.to is UNSET):
        raise BadRequest("Give either a conversation_id or a user to send to.", "conversation_id")
    conversation = ConversationId("" if asked.conversation_id is UNSET else str(asked.conversation_id))
    to = None if asked.to is UNSET else UserId(str(asked.to))
    draft = Draft(conversation, device.user_id, asked.client_message_id, asked.kind, asked.body)
    return draft, to
