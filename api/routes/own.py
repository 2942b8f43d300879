"""A user's own part in a conversation: read mark, mark as unread, settings; and its pins."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, Raw, structs

from api.contract import Answer, Route
from api.history import History, me_view
from api.views import ConversationPath, MeView
from api.views_messages import (
    DRAFT_BYTES,
    ChangeMe,
    NothingAsked,
    Pins,
    ReadUpTo,
    ReadView,
)
from domain.clock import ms_of, rfc3339
from domain.conversations import Role
from domain.devices import Device
from domain.errors import BadRequest, TooLarge
from producers.marks import Marks, State

ONE = "/v1/conversations/{conversation_id}"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)\Z", re.ASCII | re.IGNORECASE)


class Own:
    def __init__(self, marks: Marks, history: History) -> None:
        self._marks = marks
        self._history = history

    def routes(self) -> list[Route]:
        read = {200: ReadView}
        path = ConversationPath
        return [
            Route("PUT", f"{ONE}/read", self.read, "Move your read mark", read, path, body_type=ReadUpTo),
            Route(
                "PUT",
                f"{ONE}/unread",
                self.mark_unread,
                "Mark a conversation as unread",
                read,
                path,
                body_type=NothingAsked,
            ),
            Route(
                "PATCH",
                f"{ONE}/me",
                self.set,
                "Change your settings of a conversation",
                {200: MeView},
                path,
                body_type=ChangeMe,
            ),
            Route("GET", f"{ONE}/pins", self.pins, "The pinned messages", {200: Pins}, path),
        ]

    async def read(self, device: Device, path: ConversationPath, body: ReadUpTo) -> Answer:
        return _read(await self._marks.read(device.user_id, path.conversation_id, body.seq))

    async def mark_unread(self, device: Device, path: ConversationPath, body: NothingAsked) -> Answer:
        return _read(await self._marks.mark_unread(device.user_id, path.conversation_id))

    async def set(self, device: Device, path: ConversationPath, body: ChangeMe) -> Answer:
        state = await self._marks.set(device.user_id, path.conversation_id, _fields(body))
        role: Role = await self._history.role(device.user_id, path.conversation_id)
        return Answer(me_view(role, state.member, state.unread))

    async def pins(self, device: Device, path: ConversationPath) -> Answer:
        messages, referenced = await self._history.pins(device.user_id, path.conversation_id)
        return Answer({"messages": list(map(Raw, messages)), "referenced": list(map(Raw, referenced))})


def _read(state: State) -> Answer:
    own, unread = state.member.own, state.unread
    return Answer(ReadView(own.read_seq, unread.unread, own.marked_unread, unread.more or UNSET))


def _fields(body: ChangeMe) -> dict[str, Any]:
    """The settings that are given, by name. Null is absent for those that it cannot clear."""
    given = {name: value for name, value in structs.asdict(body).items() if value is not UNSET}
    fields = {
        name: value for name, value in given.items() if value is not None or name in {"muted_until", "draft"}
    }
    if fields.get("draft") and len(fields["draft"].encode()) > DRAFT_BYTES:
        raise TooLarge(f"A draft may have {DRAFT_BYTES} bytes of UTF-8.", "draft")
    if fields.get("draft") == "":
        fields["draft"] = None
    if fields.get("muted_until") is not None:
        try:
            if not _RFC_3339.match(fields["muted_until"]):
                raise ValueError("another form of ISO 8601")
            fields["muted_until"] = rfc3339(ms_of(fields["muted_until"].upper()))
        except (ValueError, OverflowError):
            raise BadRequest("muted_until must be a time: RFC 3339, with its zone.", "muted_until") from None
    return fields
