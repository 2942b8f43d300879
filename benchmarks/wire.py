"""HTTP/1.1, as little of it as a load generator needs, so that it costs little itself."""

from __future__ import annotations

import asyncio
import re
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
