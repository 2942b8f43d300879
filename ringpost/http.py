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

        Raises ApiError when the API says not to come back (close codes from 4500).
        """
        waits = backoff_s(0.2, 5.0)
        while True:
            try:
                async with connect(
                    self._url.replace("http", "ws", 1) + "/v1/connect", additional_headers=self._headers
                ) as socket:
                    hello = {"type": "hello"} if cursor is None else {"type": "hello", "cursor": cursor}
                    await socket.send(json.dumps(hello))
                    async for text in socket:
                        cursor = self._entries(json.loads(text), cursor, show)
                        waits = backoff_s(0.2, 5.0)
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code >= 4500:
                    raise ApiError(f"The gateway ended the connection: {closed.rcvd.reason}.") from None
            except (OSError, InvalidHandshake):
                pass
            await asyncio.sleep(next(waits))

    def _entries(self, frame: dict[str, Any], cursor: int | None, show: Callable[[str], None]) -> int | None:
        """Show what a frame brings; returns the cursor behind it."""
        if frame["type"] == "welcome":
            return int(frame["cursor"])
        for entry in frame.get("entries", ()) if frame["type"] == "entries" else ():
            if cursor is None or entry["seq"] > cursor:
                show(json.dumps(entry))
                cursor = int(entry["seq"])
        return cursor
