"""HTTP/1.1 and WebSocket, as little of them as a load generator needs, so that it costs little itself."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

ANSWER_DEADLINE_S = 30.0
_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    body: bytes


class _HttpConnection(asyncio.Protocol):
    """One keep-alive connection with one request under way at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[Answer] | None = None
        self._lost = asyncio.Event()
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, complete, rest = self._buffer.partition(b"\r\n\r\n")
        if not complete:
            return
        length = _length.search(head)
        size = int(length.group(1)) if length else 0
        if len(rest) >= size and self._answer is not None and not self._answer.done():
            self._buffer = rest[size:]
            self._answer.set_result(Answer(int(head[9:12]), rest[:size]))

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._lost.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))

    async def call(self, request: bytes) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await asyncio.wait_for(self._answer, ANSWER_DEADLINE_S)
        except BaseException:
            self.usable = False
            self._transport.close()
            raise

    async def close(self) -> None:
        self._transport.close()
        await self._lost.wait()


class Http:
    """Up to `most` connections to one server; who finds none free waits."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._host = host
        self._port = port
        self._slots = asyncio.Semaphore(most)
        self._free: list[_HttpConnection] = []
        self._all: list[_HttpConnection] = []

    async def call(self, method: str, path: str, key: str, body: bytes = b"") -> Answer:
        """Raises OSError or TimeoutError when there is no answer."""
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        async with self._slots:
            connection = await self._connection()
            answer = await connection.call(request)
            self._free.append(connection)
            return answer

    async def _connection(self) -> _HttpConnection:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_HttpConnection, self._host, self._port)
        self._all.append(connection)
        return connection

    async def close(self) -> None:
        for connection in self._all:
            await connection.close()


class Socket(asyncio.Protocol):
    """A WebSocket that hands over each text with the moment at which it arrived.

    Pings are answered. The mask that RFC 6455 demands is four zero bytes: valid, and free.
    """

    def __init__(self, on_text: Callable[[bytes, float], None]) -> None:
        self._on_text = on_text
        self._buffer = bytearray()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost = asyncio.Event()
        self.close_code: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._buffer += data
        if not self._opened.done() and not self._open():
            return
        while (taken := self._frame()) is not None:
            opcode, payload = taken
            if opcode == 1:
                self._on_text(payload, now)
            elif opcode == 9:
                self._send(10, payload)
            elif opcode == 8:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self._transport.close()
            elif opcode != 10:
                raise ValueError(f"a WebSocket frame with opcode {opcode} was not expected")

    def _open(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = bytes(self._buffer[9:12])
        del self._buffer[: end + 4]
        if status == b"101":
            self._opened.set_result(None)
            return True
        self._opened.set_exception(ConnectionRefusedError(f"no WebSocket: status {status.decode()}"))
        return False

    def _frame(self) -> tuple[int, bytes] | None:
        """The first frame of the buffer, if all of it is there."""
        if len(self._buffer) < 2:
            return None
        size, start = self._buffer[1] & 0x7F, 2
        if size > 125:
            start += 2 if size == 126 else 8
            if len(self._buffer) < start:
                return None
            size = int.from_bytes(self._buffer[2:start], "big")
        if len(self._buffer) < start + size:
            return None
        opcode, payload = self._buffer[0] & 0x0F, bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return opcode, payload

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.set()
        if self.close_code is None:
            self.close_code = 1006
        if not self._opened.done():
            self._opened.set_exception(ConnectionResetError("the server closed the connection"))

    async def connect(
        self, host: str, port: int, path: str, token: str, receive_bytes: int | None = None
    ) -> None:
        """`receive_bytes`: what the kernel holds for us, else as much as it likes. Raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, host, port)
        if receive_bytes is not None:
            connected = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        try:
            await self._opened
        except OSError:
            self._transport.close()
            raise

    def send_text(self, text: bytes) -> None:
        self._send(1, text)

    def stop_reading(self) -> None:
        """From now on everything stays where it is: here in the kernel, and then at the server."""
        self._transport.pause_reading()

    async def close(self) -> None:
        """Say goodbye if the other side is still there; the connection is gone when it returns."""
        if self.close_code is None:
            self.close_code = 1000
            self._send(8, (1000).to_bytes(2, "big"))
        self._transport.close()
        await self._lost.wait()

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 65_536:
            head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)
