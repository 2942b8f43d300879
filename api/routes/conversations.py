"""Opening conversations, listing them, and their members."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, structs

from api.contract import Answer, Route
from api.conversation_list import ConversationListing, Wanted
from api.history import History, me_view
from api.views import (
    ConversationPath,
    ConversationView,
    MemberPath,
    OpenDirect,
    OpenGroup,
    Rename,
)
from api.views_lists import ConversationList, ListQuery, Snapshot, SnapshotQuery
from domain.clock import rfc3339
from domain.devices import Device
from domain.ids import ConversationId
from producers.groups import Groups
from producers.marks import Marks


class Conversations:
    def __init__(self, groups: Groups, marks: Marks, history: History, listing: ConversationListing) -> None:
        self._groups = groups
        self._marks = marks
        self._history = history
        self._listing = listing

    def routes(self) -> list[Route]:
        one, member = (
            "/v1/conversations/{conversation_id}",
            "/v1/conversations/{conversation_id}/members/{user_id}",
        )
        view = {200: ConversationView}
        return [
            Route(
                "POST",
                "/v1/conversations",
                self.open,
                "Open the direct conversation with a user, or create a group",
                {201: ConversationView, 200: ConversationView},
                body_type=OpenDirect | OpenGroup,
            ),
            Route(
                "GET",
                "/v1/conversations",
                self.list,
                "Your conversations, newest activity first",
                {200: ConversationList},
                query_type=ListQuery,
            ),
            Route(
                "GET",
                "/v1/snapshot",
                self.snapshot,
                "What a new device shows first",
                {200: Snapshot},
                query_type=SnapshotQuery,
            ),
            Route("GET", one, self.view, "One conversation", view, ConversationPath),
            Route("PATCH", one, self.rename, "Change the title", view, ConversationPath, body_type=Rename),
            Route("PUT", member, self.add, "Add a member", view, MemberPath),
            Route("DELETE", member, self.remove, "Remove a member, or leave", view, MemberPath),
        ]

    async def open(self, device: Device, body: OpenDirect | OpenGroup) -> Answer:
        if isinstance(body, OpenDirect):
            opened, fresh = await self._groups.open_direct(device.user_id, body.with_, "with")
            return await self._view(device, opened, 201 if fresh else 200)
        created = await self._groups.create(device.user_id, body.title, body.members)
        return await self._view(device, created.conversation_id, 201)

    async def list(self, device: Device, query: ListQuery) -> Answer:
        asked = {name: value for name, value in structs.asdict(query).items() if value is not UNSET}
        cursor, limit = asked.pop("cursor", None), asked.pop("limit")
        return Answer(await self._listing.page(device.user_id, cursor, limit, Wanted(**asked)))

    async def snapshot(self, device: Device, query: SnapshotQuery) -> Answer:
        cursor = None if isinstance(query.cursor, UnsetType) else query.cursor
        return Answer(await self._listing.snapshot(device.user_id, cursor, query.limit, query.messages))

    async def view(self, device: Device, path: ConversationPath) -> Answer:
        return await self._view(device, path.conversation_id)

    async def rename(self, device: Device, path: ConversationPath, body: Rename) -> Answer:
        await self._groups.rename(device.user_id, path.conversation_id, body.title)
        return await self._view(device, path.conversation_id)

    async def add(self, device: Device, path: MemberPath) -> Answer:
        await self._groups.add(device.user_id, path.conversation_id, path.user_id)
        return await self._view(device, path.conversation_id)

    async def remove(self, device: Device, path: MemberPath) -> Answer:
        await self._groups.remove(device.user_id, path.conversation_id, path.user_id)
        return await self._view(device, path.conversation_id)

    async def _view(self, device: Device, conversation: ConversationId, status: int = 200) -> Answer:
        found, members = await self._groups.view(device.user_id, conversation)
        member, unread = await self._marks.state(device.user_id, conversation)
        newest = await self._history.newest(device.user_id, conversation, member)
        view = ConversationView(
            conversation,
            found.kind,
            found.title,
            newest.seq,
            rfc3339(found.created_at_ms),
            me_view(members.role_of(device.user_id), member, unread),
        )
        others = await self._history.others(device.user_id, [conversation])
        view.with_ = others.get(conversation, UNSET)
        if members.has(device.user_id):
            view.members = sorted(member.user_id for member in members.present)
            view.owner_id = members.owner or UNSET
        return Answer(view, status)
