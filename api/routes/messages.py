"""Sending a message, and a conversation's history."""

from __future__ import annotations

from api.contract import Answer, Route
from api.drafts import draft_of
from api.history import History
from api.views import ConversationPath, HistoryPage, HistoryQuery, SendMessage, SentView, page_bytes
from domain.devices import Device
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
                "GET",
                "/v1/conversations/{conversation_id}/messages",
                self.page,
                "Messages of a conversation, ascending by seq",
                {200: HistoryPage},
                path_type=ConversationPath,
                query_type=HistoryQuery,
            ),
        ]

    async def send(self, device: Device, body: SendMessage) -> Answer:
        draft, to = draft_of(device, body)
        outcome = await self._sender.send(draft, to)
        return Answer(outcome.sent, 201 if outcome.created else 200)

    async def page(self, device: Device, path: ConversationPath, query: HistoryQuery) -> Answer:
        messages, more = await self._history.page(device.user_id, path.conversation_id, query)
        return Answer(page_bytes(messages, more))
