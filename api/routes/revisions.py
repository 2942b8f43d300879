"""One message: reading it, and what people do to it."""

from __future__ import annotations

from msgspec import Raw

from api.contract import Answer, Route
from api.drafts import mentioned
from api.history import History
from api.views import MessageView
from api.views_messages import (
    EditMessage,
    MessagePath,
    Nothing,
    PinAnswer,
    ReactionPath,
    ReactionsAnswer,
    Reader,
    Readers,
    Versions,
)
from domain.devices import Device
from domain.ids import UserId
from domain.registers import Reactors, reactions_of, shown
from infra.mongo.registers import registers_of
from infra.mongo.terms import Document
from producers.reactions import Reactions
from producers.revise import Revise

ONE = "/v1/messages/{message_id}"


class Revisions:
    def __init__(self, revise: Revise, reactions: Reactions, history: History) -> None:
        self._revise = revise
        self._reactions = reactions
        self._history = history

    def routes(self) -> list[Route]:
        message = {200: MessageView}
        mine, pin, reaction = f"{ONE}/mine", f"{ONE}/pin", f"{ONE}/reactions/{{key}}"
        return [
            Route("GET", ONE, self.get, "One message, as it is now", message, MessagePath),
            Route("PATCH", ONE, self.edit, "Edit a message", message, MessagePath, body_type=EditMessage),
            Route("DELETE", ONE, self.recall, "Recall a message for all", message, MessagePath),
            Route(
                "GET",
                f"{ONE}/versions",
                self.versions,
                "All versions of a message",
                {200: Versions},
                MessagePath,
                admin_too=True,
            ),
            Route("DELETE", mine, self.hide, "Delete a message for yourself", {200: Nothing}, MessagePath),
            Route("PUT", reaction, self.react, "React to a message", {200: ReactionsAnswer}, ReactionPath),
            Route(
                "DELETE", reaction, self.unreact, "Take a reaction back", {200: ReactionsAnswer}, ReactionPath
            ),
            Route("PUT", pin, self.pin, "Pin a message", {200: PinAnswer}, MessagePath),
            Route("DELETE", pin, self.unpin, "Take a pin away", {200: PinAnswer}, MessagePath),
            Route(
                "GET", f"{ONE}/readers", self.readers, "Who has read a message", {200: Readers}, MessagePath
            ),
        ]

    async def get(self, device: Device, path: MessagePath) -> Answer:
        return Answer(await self._history.one(device.user_id, path.message_id))

    async def edit(self, device: Device, path: MessagePath, body: EditMessage) -> Answer:
        edited = await self._revise.edit(
            device.user_id, path.message_id, body.client_message_id, body.body, mentioned(body.mentions)
        )
        return _message(device, edited)

    async def recall(self, device: Device, path: MessagePath) -> Answer:
        return _message(device, await self._revise.recall(device.user_id, path.message_id))

    async def versions(self, device: Device | None, path: MessagePath) -> Answer:
        user = None if device is None else device.user_id
        found = await self._history.versions(user, path.message_id)
        return Answer({"versions": [{"rev": rev, "body": Raw(body), "at": at} for rev, body, at in found]})

    async def hide(self, device: Device, path: MessagePath) -> Answer:
        await self._revise.hide(device.user_id, path.message_id)
        return Answer(Nothing())

    async def react(self, device: Device, path: ReactionPath) -> Answer:
        return _reactions(device, path, await self._reactions.put(device.user_id, path.message_id, path.key))

    async def unreact(self, device: Device, path: ReactionPath) -> Answer:
        left = await self._reactions.remove(device.user_id, path.message_id, path.key)
        return _reactions(device, path, left)

    async def pin(self, device: Device, path: MessagePath) -> Answer:
        await self._revise.pin(device.user_id, path.message_id, on=True)
        return Answer(PinAnswer(path.message_id, True))

    async def unpin(self, device: Device, path: MessagePath) -> Answer:
        await self._revise.pin(device.user_id, path.message_id, on=False)
        return Answer(PinAnswer(path.message_id, False))

    async def readers(self, device: Device, path: MessagePath) -> Answer:
        found = await self._history.readers(device.user_id, path.message_id)
        return Answer(Readers([Reader(user, at) for user, at in found]))


def _message(device: Device, document: Document) -> Answer:
    return Answer(shown(document["m"], registers_of(document), device.user_id))


def _reactions(device: Device, path: ReactionPath, by_key: Reactors) -> Answer:
    return Answer({"message_id": path.message_id, "reactions": reactions_of(by_key, UserId(device.user_id))})
