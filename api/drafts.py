"""Turns what a client sends into what is stored. HTTP and WebSocket share it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, UnsetType

from api.views import SendMessage
from domain.devices import Device
from domain.errors import BadRequest
from domain.ids import ConversationId, UserId
from domain.messages import Draft, Forward, Kind

FORWARDED: tuple[Kind, Raw] = ("text", Raw(b"{}"))
"""Stands for the kind and the body that the send path copies."""


def draft_of(device: Device, asked: SendMessage) -> tuple[Draft, UserId | None]:
    """The draft, and the user it goes to if the client named no conversation. Raises BadRequest."""
    if (asked.conversation_id is None) == (asked.to is None):
        raise BadRequest("Give either a conversation_id or a user to send to.", "conversation_id")
    conversation = asked.conversation_id or ConversationId("")
    kind: Kind | None = asked.kind
    body = asked.body
    given = not isinstance(body, UnsetType) and memoryview(body).tobytes() != b"null"
    if asked.forward_of is not None:
        if kind is not None or given:
            raise BadRequest("A forward takes kind and body from the message that it names.", "forward_of")
        kind, body = FORWARDED
    if kind is None:
        raise BadRequest("kind is missing. A message that forwards none has a kind and a body.", "kind")
    if isinstance(body, UnsetType):
        raise BadRequest("body is missing. A message that forwards none has a kind and a body.", "body")
    draft = Draft(
        conversation,
        device.user_id,
        asked.client_message_id,
        kind,
        body,
        asked.reply_to,
        mentioned(asked.mentions) or (),
        None if asked.forward_of is None else Forward(asked.forward_of, UserId("")),
    )
    return draft, asked.to


def mentioned(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The mentions of a request: `"all"`, or a list."""
    if given is None:
        return None
    return (given,) if isinstance(given, str) else tuple(given)
