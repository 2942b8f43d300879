"""Pulling an inbox, and each device's own cursor in it."""

from __future__ import annotations

import asyncio

from api.contract import Answer, Route
from api.gateway.hub import Hub
from api.sync import Page, Sync
from api.views import Cursor, SyncQuery
from api.views_entries import SyncPage
from domain.devices import Device
from domain.errors import CursorAhead
from infra.mongo.accounts import AccountStore
from producers.delivered import Delivered

DEAF_LOOK_S = 3.0
"""Seconds between two looks of a waiting poll while no pushes come."""


class Inbox:
    """A push may be lost, so a waiting poll also looks into the inbox twice in a heartbeat.

    Without Redis it looks every `DEAF_LOOK_S`.
    """

    def __init__(self, sync: Sync, hub: Hub, accounts: AccountStore, delivered: Delivered) -> None:
        self._look_again_s = hub.settings.heartbeat_s / 2
        self._sync = sync
        self._hub = hub
        self._accounts = accounts
        self._delivered = delivered

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/v1/sync",
                self.pull,
                "What came after a cursor; `wait_s` holds the answer until there is something",
                {200: SyncPage},
                query_type=SyncQuery,
            ),
            Route(
                "POST",
                "/v1/sync/ack",
                self.acknowledge,
                "Move this device's cursor, only forward",
                {200: Cursor},
                body_type=Cursor,
            ),
            Route("GET", "/v1/sync/ack", self.acknowledged, "This device's cursor", {200: Cursor}),
        ]

    async def pull(self, device: Device, query: SyncQuery) -> Answer:
        page = await self._sync.pull(device.user_id, query.cursor, query.limit)
        if not page.entries and query.wait_s > 0:
            page = await self._wait(device, query)
        return Answer(page.encode())

    async def _wait(self, device: Device, query: SyncQuery) -> Page:
        """Listen, look again, then wait. The second look finds what came before we listened."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + query.wait_s
        async with self._hub.polling(device.user_id) as arrived:
            while True:
                arrived.clear()  # before the look: what comes during it is news
                page = await self._sync.pull(device.user_id, query.cursor, query.limit)
                if page.entries or loop.time() >= deadline or self._hub.stopping:
                    return page
                look_again_s = self._look_again_s if self._hub.hears else DEAF_LOOK_S
                wait_s = min(look_again_s, deadline - loop.time())
                try:
                    await asyncio.wait_for(arrived.wait(), wait_s)
                except TimeoutError:
                    continue

    async def acknowledge(self, device: Device, body: Cursor) -> Answer:
        head = await self._sync.head(device.user_id, body.cursor)
        if body.cursor > head:
            raise CursorAhead(f"The cursor is ahead of the inbox, which ends at {head}.", "cursor")
        stands = await self._accounts.acknowledge(device.user_id, device.device_id, body.cursor)
        self._delivered.acknowledged(device.user_id, body.cursor)
        return Answer(Cursor(stands))

    async def acknowledged(self, device: Device) -> Answer:
        return Answer(Cursor(await self._accounts.cursor(device.user_id, device.device_id)))
