"""Two people who do everything once that a Ringpost can do, so that every right is needed."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.builders import until
from tests.patience import PATIENCE_S
from tests.system.people import register, socket_of


class Errands:
    """ann and bob, through one API."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url
        self._tokens: dict[str, str] = {}
        self._group = ""

    async def meet(self) -> None:
        for user in ("ann", "bob", "cat"):
            (self._tokens[user],) = await register(self._client, self._url, user, ["phone"])

    async def talk_live(self, elsewhere: str) -> None:
        """A message reaches bob's socket. His device connects to another gateway, and the first lets go."""
        async with socket_of(self._url, self._tokens["bob"]) as socket:
            await socket.send(json.dumps({"type": "hello", "cursor": 0}))
            await self.send("hello")
            await _until_frame(socket, "hello")
            async with socket_of(elsewhere, self._tokens["bob"]) as other:
                await other.send(json.dumps({"type": "hello", "cursor": 0}))
                await _until_frame(other, "hello")
                await socket.wait_closed()

    async def send(self, text: str, url: str = "") -> dict[str, Any]:
        """Sent to bob, and answered."""
        body = {"to": "bob", "client_message_id": text, "kind": "text", "body": {"text": text}}
        return await self._call("ann", "POST", "/v1/messages", json=body, url=url)

    async def send_and_see_the_api_die(self, text: str, url: str) -> None:
        """The API dies once the message is stored, before it answers."""
        try:
            await self.send(text, url)
        except httpx.TransportError:
            return
        raise AssertionError("the API answered")

    async def change_a_group(self) -> None:
        made = await self._call(
            "ann", "POST", "/v1/conversations", json={"kind": "group", "title": "t", "members": ["bob"]}
        )
        self._group = f"/v1/conversations/{made['conversation_id']}"
        await self._call("ann", "PUT", f"{self._group}/members/cat")
        await self._call("ann", "DELETE", f"{self._group}/members/cat")
        await self._call("ann", "PATCH", self._group, json={"title": "another"})
        body = {"client_message_id": "g", "kind": "text", "body": {"text": "to all"}}
        await self._call(
            "ann", "POST", "/v1/messages", json=body | {"conversation_id": made["conversation_id"]}
        )
        await self.until_bob_has("to all")

    async def change_messages(self) -> None:
        """Each change of a message, and own state of bob. The recall comes last: it waits for the others."""
        sent = await self.send("to be changed")
        message, conversation = f"/v1/messages/{sent['message_id']}", "/v1/conversations/d:ann:bob"
        edit = {"client_message_id": "e", "body": {"text": "changed"}, "mentions": ["bob"]}
        await self._call("ann", "PATCH", message, json=edit)
        await self._call("bob", "PUT", f"{message}/reactions/👍")
        await self._call("bob", "PUT", f"{message}/pin")
        await self._call("bob", "GET", f"{conversation}/pins")
        await self._call("bob", "GET", f"{message}/versions")
        await self._call("bob", "PUT", f"{conversation}/read", json={"seq": sent["seq"]})
        await self._call("ann", "GET", f"{message}/readers")
        await self._call("bob", "PUT", f"{conversation}/unread", json={})
        await self._call("bob", "PATCH", f"{conversation}/me", json={"draft": "well", "archived": True})
        await self._call("bob", "GET", conversation)
        await self.until_bob_has("reactions")
        await self._call("ann", "DELETE", message)
        await self.until_bob_has("recall")
        await self._call("bob", "DELETE", f"{message}/mine")
        await self.until_bob_has("hidden")

    async def read_everything(self) -> None:
        await self._call("bob", "GET", "/v1/conversations")
        await self._call("bob", "GET", self._group)
        await self._call("bob", "GET", f"{self._group}/messages")
        for _ in range(2):
            await self._call("bob", "GET", "/v1/sync", params={"cursor": 0})
        await self._call("bob", "POST", "/v1/sync/ack", json={"cursor": 1})
        await self._call("bob", "GET", "/v1/sync/ack")

    async def until_bob_has(self, text: str) -> None:
        async def there() -> bool:
            answer = await self._call("bob", "GET", "/v1/sync", params={"cursor": 0})
            return json.dumps(text) in json.dumps(answer)

        await until(there, PATIENCE_S, 0.1)

    async def _call(self, user: str, method: str, path: str, url: str = "", **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        answer = await self._client.request(method, (url or self._url) + path, headers=headers, **options)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return dict(answer.json())


async def _until_frame(socket: Any, text: str) -> None:
    async for frame in socket:
        if text in frame and json.loads(frame)["type"] == "entries":
            return
    raise AssertionError("the socket closed before the entry came")
