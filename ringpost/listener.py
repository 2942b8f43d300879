"""A live device in the terminal. It shows each entry once, in order, over all of its connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.http11 import Response

from infra.retry import backoff_s
from infra.tasks import ended
from ringpost.http import GARBAGE, Api, ApiError, read_answer, read_refusal, reason_of
from ringpost.inbox import Entry, Inbox, Taken

ACK_EVERY_S = 1.0
LARGEST_FRAME_BYTES = 4_194_304
REPLACED = (4003, 4504)
"""The close codes when another connection of the same device replaced ours. Coming back would end that one.
Earlier versions of the gateway use the first.
"""

Show = Callable[[Entry], None]
Tell = Callable[[str], None]


class Listener:
    """Prints entries by `show`, and the state of the connection by `tell`.

    It acknowledges what it printed, at most once a second, so the device's cursor follows. If it is killed
    in between, it prints the same entries again at the next start.
    """

    def __init__(
        self, api: Api, cursor: int | None, show: Show, tell: Tell = lambda _: None, acknowledge: bool = True
    ) -> None:
        self._api = api
        self._show = show
        self._tell = tell
        self._acknowledges = acknowledge
        self._inbox = None if cursor is None else Inbox(cursor)
        self._shown = self._acknowledged = -1
        self._printed = asyncio.Event()
        self._refusal = ""
        self._seen = False  # whether a Ringpost has answered there
        self._away_since: float | None = None

    async def run(self) -> None:
        """Runs for ever. It comes back with its cursor when the connection ends.

        Raises ApiError when the API says not to come back (close codes from 4500), when another
        connection takes this one's place, or when no Ringpost answers there.
        """
        self._tell(f"Connecting to {self._api.url}")
        waits = backoff_s(0.2, 5.0)
        async with httpx.AsyncClient(
            base_url=self._api.url, headers=self._api.headers, timeout=self._api.timeout_s
        ) as http:
            while True:
                try:
                    await self._connection(http)
                    reason = "it closed the connection"
                except ConnectionClosed as closed:
                    reason = self._reason_to_come_back(closed)
                except InvalidStatus as refused:
                    reason = self._no_socket(_http_answer(refused.response))
                except InvalidMessage as strange:
                    reason = await self._strange_answer(http, strange)
                except InvalidURI:
                    raise ApiError(f"{self._api.url} is not a URL that can be asked.") from None
                except (OSError, WebSocketException, httpx.HTTPError) as error:
                    reason = reason_of(error)
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    waits = backoff_s(0.2, 5.0)
                    self._tell(f"{self._api.url} is away: {reason}. Trying again until it is back")
                await asyncio.sleep(next(waits))

    # -------------------------------------------------------------- one connection

    async def _connection(self, http: httpx.AsyncClient) -> None:
        url = self._api.url.replace("http", "ws", 1) + "/v1/connect"
        self._refusal = ""
        async with connect(
            url,
            additional_headers=self._api.headers,
            open_timeout=self._api.timeout_s,
            max_size=LARGEST_FRAME_BYTES,
        ) as socket:
            acknowledging = asyncio.create_task(self._acknowledge(socket))
            try:
                place = {} if self._inbox is None else {"cursor": self._inbox.cursor}
                await socket.send(json.dumps({"type": "hello", **place}))
                async for text in socket:
                    await self._heard(http, _frame(self._api.url, text))
            finally:
                await ended([acknowledging])
                await self._acknowledge_last(socket)

    async def _heard(self, http: httpx.AsyncClient, frame: dict[str, Any]) -> None:
        """Print what a frame brings, and pull what is missing.

        Without a given cursor, the first welcome says where the inbox begins.
        """
        self._refusal = ""
        match frame:
            case {"type": "welcome", "cursor": int(cursor), "head": int(head)}:
                self._inbox = self._inbox or Inbox(cursor)
                self._inbox.told(head)
                self._tell(self._connected(frame, self._inbox.cursor, head))
            case {"type": "heartbeat", "head": int(head)} if self._inbox is not None:
                self._inbox.told(head)
            case {"type": "entries", "entries": entries} if self._inbox is not None:
                self._show_all(self._inbox.pushed(_entries(self._api.url, entries)))
            case {"type": "error", "error": {"code": code, "message": message}}:
                self._refusal = f"{code}: {message}"
        if self._inbox is not None:
            await self._pull_missing(http, self._inbox)

    def _connected(self, frame: dict[str, Any], cursor: int, head: int) -> str:
        """What a welcome means for the one who waits at the terminal."""
        self._seen, since, self._away_since = True, self._away_since, None
        self._printed.set()  # what an earlier connection did not acknowledge
        waiting = f"{head - cursor} to come" if head > cursor else "nothing new"
        place = f"after {cursor}, {waiting}"
        if since is not None:
            return f"{self._api.url} is back after {time.monotonic() - since:.0f} s: {place}"
        return f"Connected as {frame.get('user_id')}, device {frame.get('device_id')}: {place}"

    async def _pull_missing(self, http: httpx.AsyncClient, inbox: Inbox) -> None:
        """Pull page after page until nothing is missing. It waits before the next try if a page brought
        nothing.
        """
        waits = backoff_s(0.2, 5.0)
        while (cursor := inbox.pull_from) is not None:
            answer = await http.get("/v1/sync", params={"cursor": cursor})
            if answer.is_success:
                page = read_answer(self._api.url, answer)
                entries, head = _entries(self._api.url, page.get("entries")), page.get("head")
                self._show_all(inbox.pulled(entries, head if isinstance(head, int) else 0))
            else:
                refusal, again = read_refusal(self._api.url, answer)
                if not again:
                    raise ApiError(refusal)
            if inbox.cursor == cursor:
                await asyncio.sleep(next(waits))

    def _show_all(self, taken: Taken) -> None:
        for entry in taken.entries:
            self._show(entry)
        if taken.entries:
            self._shown = taken.entries[-1]["seq"]
            self._printed.set()

    # -------------------------------------------------------------- what was printed

    async def _acknowledge(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self._printed.wait()
                await self._send_cursor(socket)
                await asyncio.sleep(ACK_EVERY_S)

    async def _acknowledge_last(self, socket: ClientConnection) -> None:
        """Acknowledge what was printed since the last time, if the connection is still there."""
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(ACK_EVERY_S):
                await self._send_cursor(socket)

    async def _send_cursor(self, socket: ClientConnection) -> None:
        """Nothing is sent before something was printed."""
        self._printed.clear()
        if self._acknowledges and (shown := self._shown) > self._acknowledged:
            await socket.send(json.dumps({"type": "ack", "cursor": shown}))
            self._acknowledged = shown

    # -------------------------------------------------------------- the end of one

    def _reason_to_come_back(self, closed: ConnectionClosed) -> str:
        """ApiError if there is none."""
        code = 1006 if closed.rcvd is None else closed.rcvd.code
        said = "" if closed.rcvd is None else closed.rcvd.reason
        if code in REPLACED:
            raise ApiError("Another connection of this device has taken the place of this one.")
        if code >= 4500:
            raise ApiError(self._refusal or f"The gateway ended the connection: {said} ({code}).")
        if not self._seen and code < 4000 and closed.rcvd is not None:
            raise ApiError(f"{self._api.url} closed the socket, and not as Ringpost does (code {code}).")
        return self._refusal.rstrip(".") or said or "the connection broke"

    def _no_socket(self, answer: httpx.Response) -> str:
        """Why it may be tried again all the same; ApiError where nothing speaks for a Ringpost."""
        refusal, again = read_refusal(self._api.url, answer)
        if self._seen or again or answer.status_code == 429:
            return f"it answers with status {answer.status_code}"
        raise ApiError(refusal)

    async def _strange_answer(self, http: httpx.AsyncClient, strange: InvalidMessage) -> str:
        """The reason when the answer is none that opens a socket, as that of a server with HTTP/1.0.

        ApiError if it answers a plain call, and not as Ringpost does.
        """
        try:
            answer = await http.get("/v1/sync/ack")
        except httpx.HTTPError:
            return f"it {GARBAGE}"
        if answer.is_success:
            read_answer(self._api.url, answer)
            return f"it {GARBAGE}"
        return self._no_socket(answer)


def _http_answer(answer: Response) -> httpx.Response:
    kind = answer.headers.get("Content-Type", "")
    return httpx.Response(
        answer.status_code, headers={"Content-Type": kind}, content=bytes(answer.body or b"")
    )


def _frame(url: str, text: str | bytes) -> dict[str, Any]:
    """ApiError if it is none that Ringpost sends."""
    try:
        frame = json.loads(text)
        if isinstance(frame, dict):
            return frame
    except ValueError:
        pass
    raise ApiError(f"{url} sends what is no frame of Ringpost.")


def _entries(url: str, entries: object) -> list[Entry]:
    """ApiError if they are not what Ringpost calls entries."""
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("seq"), int) for entry in entries
    ):
        raise ApiError(f"{url} sends what are no entries of Ringpost.")
    return entries
