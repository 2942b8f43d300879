"""Sending messages, and a conversation's history."""

from __future__ import annotations

import asyncio

from msgspec.structs import astuple

from api.contract import Answer, Route
from api.drafts import draft_of
from api.errors import error_body
from api.history import History
from api.strict import read_json
from api.views import ConversationPath, HistoryPage, HistoryQuery, SendMessage, SentView, page_bytes
from api.views_messages import Batch, BatchAnswer, BatchResult
from domain.devices import Device
from domain.errors import RingpostError
from domain.ids import UserId
from domain.limits import BATCH_BYTES
from domain.messages import Draft
from producers.send import Sender


class Messages:
    def __init__(self, sender: Sender, history: History) -> None:
        self._sender = sender
        self._history = history

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/messages",
                self.send,
                "Send a message; durable when answered, the same answer for a repetition",
                {201: SentView, 200: SentView},
                body_type=SendMessage,
            ),
            Route(
                "POST",
                "/v1/messages:batch",
                self.batch,
                "Send several messages, each by itself",
                {200: BatchAnswer},
                body_type=Batch,
                most_bytes=BATCH_BYTES,
            ),
            Route(
                "GET",
                "/v1/conversations/{conversation_id}/messages",
                self.page,
                "Messages of a conversation, ascending by seq",
                {200: HistoryPage},
                path_type=ConversationPath,
                query_type=HistoryQuery,
            ),
        ]

    async def batch(self, device: Device, body: Batch) -> Answer:
        """Messages to one conversation go one after the other, in order; those to others beside them."""
        results = [BatchResult() for _ in body.messages]
        lanes: dict[str, list[tuple[int, Draft, UserId | None]]] = {}
        for index, raw in enumerate(body.messages):
            try:
                draft, to = draft_of(device, read_json(bytes(raw), SendMessage))
                lanes.setdefault(to or draft.conversation_id, []).append((index, draft, to))
            except RingpostError as error:
                results[index] = BatchResult(error=error_body(error))

        async def send_all(lane: list[tuple[int, Draft, UserId | None]]) -> None:
            for index, draft, to in lane:
                try:
                    sent = (await self._sender.send(draft, to)).sent
                    results[index] = BatchResult(*astuple(sent))
                except RingpostError as error:
                    results[index] = BatchResult(error=error_body(error))

        await asyncio.gather(*map(send_all, lanes.values()))
        return Answer(BatchAnswer(results))

    async def send(self, device: Device, body: SendMessage) -> Answer:
        draft, to = draft_of(device, body)
        outcome = await self._sender.send(draft, to)
        return Answer(outcome.sent, 201 if outcome.created else 200)

    async def page(self, device: Device, path: ConversationPath, query: HistoryQuery) -> Answer:
        return Answer(page_bytes(*await self._history.page(device.user_id, path.conversation_id, query)))
