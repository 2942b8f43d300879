"""Turns what a client sends into what is stored. HTTP and WebSocket share it."""

from __future__ import annotations

from api.views import SendMessage
from domain.devices import Device
from domain.errors import BadRequest
from domain.ids import ConversationId, UserId
from domain.messages import Draft


def draft_of(device: Device, asked: SendMessage) -> tuple[Draft, UserId | None]:
    """The draft, and the user it goes to if the client named no conversation. Raises BadRequest."""
    if (asked.conversation_id is None) == (asked.to is None):
        raise BadRequest("Give either a conversation_id or a user to send to.", "conversation_id")
    conversation = asked.conversation_id or ConversationId("")
    draft = Draft(conversation, device.user_id, asked.client_message_id, asked.kind, asked.body)
    return draft, asked.to
