"""A device on a socket, that comes and goes by its plan and keeps what it was given."""

from __future__ import annotations

import asyncio
import json
import random
import socket as sockets
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.system.people import socket_of
from tests.torture.facts import Connection
from tests.torture.plan import DevicePlan, Stay
from tests.torture.town import ANSWER_S, NoAnswer, Town, address_of
from tests.torture.wire import Frame, decode_frame

SILENCE_S = 12.0
"""Two heartbeats and a little: then the connection is taken for dead."""
RECEIVE_BUFFER_BYTES = 4096
GIVE_UP = range(4500, 5000)


class Device:
    """Its cursor is the number of the last entry that it got. It says what it did not expect."""

    def __init__(self, town: Town, user: str, plan: DevicePlan) -> None:
        self.user = user
        self.name = plan.name
        self.cursor = 0
        self._town = town
        self._ledger = town.ledger
        self._ledger.devices[user, plan.name] = 0
        self._stays = plan.stays
        self._rng = random.Random(f"{user}/{plan.name}")
        self._socket: ClientConnection | None = None
        self._sends: dict[int, asyncio.Future[Frame]] = {}
        self._refs = 0

    async def run(self) -> None:
        """The stays of the plan, then online until cancelled."""
        for stay in self._stays:
            await asyncio.sleep(max(0.0, stay.at_s - self._ledger.now))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, stay.at_s + stay.lasts_s - self._ledger.now)):
                    await self._online(stay)
        await self._online(Stay(0.0, 0.0, self._rng.randrange(2)))

    async def _online(self, stay: Stay) -> None:
        """Connected, and again when that ends, to one API and the other in turn."""
        self.cursor = max(0, self.cursor - stay.back)
        api, deaf_s = stay.api, stay.deaf_s
        while True:
            try:
                await self._connection(api, deaf_s)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                self._ledger.closed[type(error).__name__] += 1
            api, deaf_s = api + 1, 0.0
            await asyncio.sleep(self._rng.uniform(0.05, 0.6))

    async def _connection(self, api: int, deaf_s: float) -> None:
        token, url = self._town.token(self.user, self.name), self._town.url(api)
        options: dict[str, Any] = {"open_timeout": ANSWER_S, "max_queue": 4}
        if deaf_s:
            options["sock"] = await _narrow(url)
        async with socket_of(url, token, **options) as socket:
            began = self._ledger.now
            try:
                await socket.send(json.dumps({"type": "hello", "cursor": self.cursor}))
                await asyncio.sleep(deaf_s)
                self._socket = socket
                await self._read(socket, Connection(self.user, self.name, url, began, self.cursor))
            except ConnectionClosed:
                self._closed(socket)
            finally:
                self._socket = None
                for waiting in self._sends.values():
                    waiting.cancel()

    async def _read(self, socket: ClientConnection, connection: Connection) -> None:
        self._ledger.connections.append(connection)
        while True:
            async with asyncio.timeout(SILENCE_S):
                text = await socket.recv(decode=False)
            frame = decode_frame(text)
            for entry in frame.entries:
                self._ledger.received(connection, entry)
                self.cursor = entry.seq
            if frame.ref is not None and (waiting := self._sends.pop(frame.ref, None)) is not None:
                if not waiting.done():
                    waiting.set_result(frame)
            elif frame.error:
                self._told(frame.error)

    def _told(self, error: dict[str, Any]) -> None:
        self._ledger.errors[f"socket {error['code']}"] += 1
        if not error["retriable"]:
            self._ledger.complain(f"{self.name} of {self.user} at {self.cursor} was told {error['code']}")

    def _closed(self, socket: ClientConnection) -> None:
        code = socket.close_code
        self._ledger.closed[str(code)] += 1
        if code in GIVE_UP:
            self._ledger.complain(f"{self.name} of {self.user} at {self.cursor} was closed with {code}")

    # -------------------------------------------------------------- sending

    @property
    def connected(self) -> bool:
        return self._socket is not None

    async def send(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The message id, or the error. Raises NoAnswer."""
        if self._socket is None:
            raise NoAnswer("not connected")
        self._refs += 1
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._sends[self._refs] = answered
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._socket.send(json.dumps({"type": "send", "ref": self._refs, **body}))
                frame = await asyncio.shield(answered)
        except (ConnectionClosed, OSError) as error:
            raise NoAnswer(type(error).__name__) from None
        except asyncio.CancelledError:
            if answered.cancelled():
                raise NoAnswer("connection ended") from None
            raise
        return frame.message_id, frame.error


async def _narrow(url: str) -> sockets.socket:
    """A connection that takes little before the other side has to wait."""
    narrow = sockets.socket()
    narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    narrow.setblocking(False)
    try:
        async with asyncio.timeout(ANSWER_S):
            await asyncio.get_running_loop().sock_connect(narrow, address_of(url))
    except BaseException:
        narrow.close()
        raise
    return narrow
