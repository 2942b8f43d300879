"""What the description says of frames besides their structs: examples, and which frame answers which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.description.examples import DIRECT
from domain.ids import message_id

_AT = "2026-03-02T09:30:00.000Z"
_MESSAGE = {
    "message_id": message_id(DIRECT, 1),
    "conversation_id": DIRECT,
    "seq": 1,
    "sender_id": "ann",
    "client_message_id": "0190b2f4",
    "kind": "text",
    "body": {"text": "Hello"},
    "sent_at": _AT,
}
_ERROR = {
    "code": "bad_request",
    "message": "text must not be empty.",
    "retriable": False,
    "field": "body.text",
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "hello": {"type": "hello", "cursor": 41},
    "send": {
        "type": "send",
        "ref": 7,
        "to": "bob",
        "client_message_id": "0190b2f4",
        "kind": "text",
        "body": {"text": "Hello"},
    },
    "ack": {"type": "ack", "cursor": 42},
    "ping": {"type": "ping", "ref": "p1"},
    "welcome": {
        "type": "welcome",
        "session_id": "5f1c",
        "user_id": "bob",
        "device_id": "laptop",
        "cursor": 41,
        "head": 42,
        "heartbeat_s": 20,
    },
    "entries": {"type": "entries", "entries": [{"seq": 42, "type": "message", "message": _MESSAGE}]},
    "sent": {
        "type": "sent",
        "ref": 7,
        "message_id": message_id(DIRECT, 1),
        "conversation_id": DIRECT,
        "seq": 1,
        "sent_at": _AT,
    },
    "error": {"type": "error", "ref": 7, "error": _ERROR},
    "pong": {"type": "pong", "ref": "p1"},
    "heartbeat": {"type": "heartbeat", "head": 42},
    "signal_from_client": {"type": "signal", "conversation_id": DIRECT, "signal": "typing"},
    "signal_from_server": {"type": "signal", "conversation_id": DIRECT, "user_id": "ann", "signal": "typing"},
    "watch": {"type": "watch", "user_ids": ["ann"]},
    "presence": {"type": "presence", "users": [{"user_id": "ann", "online": True}]},
}
"""By the name of the frame in the description: its type, and its direction where both sides have the type."""

REPLIES: Mapping[str, Sequence[str]] = {
    "hello": ("welcome", "error"),
    "send": ("sent", "error"),
    "ping": ("pong",),
    "watch": ("presence", "error"),
}
"""What answers a frame of the client, by name. One that is absent is answered by `error` alone, if at all."""

ALSO_UNASKED = frozenset({"error", "presence"})
"""What answers a frame and also comes by itself."""
