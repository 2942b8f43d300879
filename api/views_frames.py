"""What the frames of the server look like on a socket. `api/gateway/frames.py` writes them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from api.errors import ErrorBody
from api.gateway.frames import SIGNAL_DATA, Ref, SentFrame
from api.views_entries import EntryView
from api.views_people import PresenceView

Head = Annotated[int, Meta(description="The number of the newest entry in the inbox.")]


class WelcomeFrame(Struct, tag_field="type", tag="welcome"):
    """The device is connected. The entries after its cursor follow."""

    session_id: Annotated[str, Meta(description="The name of this connection, as logs have it.")]
    user_id: Annotated[str, Meta(description="The user of the token.")]
    device_id: Annotated[str, Meta(description="The device of the token.")]
    cursor: Annotated[int, Meta(description="Where the entries begin: right after this number.")]
    head: Head
    heartbeat_s: Annotated[float, Meta(description="Seconds between two heartbeats.")]


class EntriesFrame(Struct, tag_field="type", tag="entries"):
    """The next entries of the inbox."""

    entries: Annotated[
        list[EntryView], Meta(description="The entries in order, each once on this connection.")
    ]


class ErrorFrame(Struct, tag_field="type", tag="error"):
    """A frame was refused, or the server ends the connection and says why."""

    error: Annotated[ErrorBody, Meta(description="What went wrong.")]
    ref: Ref | UnsetType = UNSET
    retry_after_s: (
        Annotated[int, Meta(description="Seconds to wait before the same frame is sent again.")] | UnsetType
    ) = UNSET


class PongFrame(Struct, tag_field="type", tag="pong"):
    """The answer to a `ping`."""

    ref: Ref | UnsetType = UNSET


class HeartbeatFrame(Struct, tag_field="type", tag="heartbeat"):
    """The connection is alive. If `head` is beyond your cursor twice in a row, pull."""

    head: Head


class SignalFrame(Struct, tag_field="type", tag="signal"):
    """A member of a conversation is typing, or the like."""

    conversation_id: Annotated[str, Meta(description="The conversation.")]
    user_id: Annotated[str, Meta(description="The member.")]
    signal: Annotated[str, Meta(description="The word that their client chose, such as `typing`.")]
    data: Annotated[dict[str, Any], Meta(description=SIGNAL_DATA)] | UnsetType = UNSET


class PresenceFrame(Struct, tag_field="type", tag="presence"):
    """Who of the watched users is online: all of them at once, then those who changed."""

    users: Annotated[list[PresenceView], Meta(description="The users.")]


ServerFrame = (
    WelcomeFrame
    | EntriesFrame
    | SentFrame
    | ErrorFrame
    | PongFrame
    | HeartbeatFrame
    | SignalFrame
    | PresenceFrame
)
"""Every frame that the server sends. The AsyncAPI description has these."""
