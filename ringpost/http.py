"""What the command line asks of a running API."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from infra.retry import backoff_s
from ringpost.inbox import Inbox, Taken

TIMEOUT_S = 70.0
TRIES = 5


class ApiError(Exception):
    """The API refused, or is not there; the message is a sentence."""


class Api:
    """One caller: a device's token, or the admin key."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer. Tries again what may succeed later: a send with the same client_message_id is safe."""
        said = ""
        for wait_s in itertools.islice(backoff_s(0.2, 5.0), TRIES):
            try:
                got = httpx.request(
                    method, self._url + path, json=body, headers=self._headers, timeout=TIMEOUT_S
                )
            except httpx.HTTPError as cause:
                raise ApiError(f"No answer from {self._url}: {cause}.") from None
            answer: dict[str, Any] = got.json()
            if got.is_success:
                return answer
            error = answer["error"]
            said = f"{error['field']}: {error['message']}" if "field" in error else error["message"]
            if not error["retriable"]:
                break
            time.sleep(wait_s)
        raise ApiError(said)

    def send(self, text: str, to: str | None, conversation: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "client_message_id": secrets.token_hex(8),
            "kind": "text",
            "body": {"text": text},
        }
        if to is not None:
            body["to"] = to
        if conversation is not None:
            body["conversation_id"] = conversation
        return self.call("POST", "/v1/messages", body)

    async def listen(self, cursor: int | None, show: Callable[[str], None]) -> None:
        """Show each entry once, in order, for ever; comes back with its cursor when the socket goes.

        What the socket does not bring (a hole, or a head beyond and nothing coming) is pulled.
        Raises ApiError when the API says not to come back (close codes from 4500), or refuses a pull.
        """
        url = self._url.replace("http", "ws", 1) + "/v1/connect"
        waits = backoff_s(0.2, 5.0)
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=TIMEOUT_S) as http:
            device = _Device(http, cursor, show)
            while True:
                try:
                    async with connect(url, additional_headers=self._headers) as socket:
                        await socket.send(device.hello())
                        async for text in socket:
                            await device.heard(json.loads(text))
                            waits = backoff_s(0.2, 5.0)
                except ConnectionClosed as closed:
                    if closed.rcvd is not None and closed.rcvd.code >= 4500:
                        raise ApiError(f"The gateway ended the connection: {closed.rcvd.reason}.") from None
                except (OSError, InvalidHandshake, httpx.HTTPError):
                    pass
                await asyncio.sleep(next(waits))


class _Device:
    """What a listening device has so far, over all of its connections."""

    def __init__(self, http: httpx.AsyncClient, cursor: int | None, show: Callable[[str], None]) -> None:
        self._http = http
        self._show = show
        self._inbox = None if cursor is None else Inbox(cursor)

    def hello(self) -> str:
        where = {} if self._inbox is None else {"cursor": self._inbox.cursor}
        return json.dumps({"type": "hello", **where})

    async def heard(self, frame: dict[str, Any]) -> None:
        """Show what a frame brings, and pull what it tells to be missing.

        The first welcome says where an inbox begins that was given no cursor.
        """
        match frame:
            case {"type": "welcome", "cursor": cursor, "head": head}:
                self._inbox = self._inbox or Inbox(cursor)
                self._inbox.told(head)
            case {"type": "heartbeat", "head": head} if self._inbox is not None:
                self._inbox.told(head)
            case {"type": "entries", "entries": entries} if self._inbox is not None:
                self._show_all(self._inbox.pushed(entries))
        if self._inbox is not None:
            await self._pull_missing(self._inbox)

    async def _pull_missing(self, inbox: Inbox) -> None:
        """Page after page until nothing is missing; waits before the next try when a page brought nothing."""
        waits = backoff_s(0.2, 5.0)
        while (cursor := inbox.pull_from) is not None:
            got = await self._http.get("/v1/sync", params={"cursor": cursor})
            answer: dict[str, Any] = got.json()
            if got.is_success:
                self._show_all(inbox.pulled(answer["entries"], answer["head"]))
            elif not answer["error"]["retriable"]:
                raise ApiError(answer["error"]["message"])
            if inbox.cursor == cursor:
                await asyncio.sleep(next(waits))

    def _show_all(self, taken: Taken) -> None:
        for entry in taken.entries:
            self._show(json.dumps(entry))
