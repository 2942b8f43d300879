"""Requests as bytes, and an application of a few lines that says what it was asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

ENDS_S = 20.0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        return
    body, more = b"", True
    while more:
        got = await receive()
        body, more = body + got.get("body", b""), got.get("more_body", False)
        if got["type"] == "http.disconnect":
            return
    answer = json.dumps({"method": scope["method"], "path": scope["path"], "body": body.decode()}).encode()
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


class Wire:
    """The client's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of the next answer."""
        async with asyncio.timeout(ENDS_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, json.loads(body) if body else None

    async def end(self) -> bytes:
        """What comes before the server closes."""
        async with asyncio.timeout(ENDS_S):
            return await self.reader.read()


async def opened(port: int, *sent: bytes) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    for part in sent:
        wire.writer.write(part)
    return wire


async def closed(wire: Wire) -> None:
    wire.writer.close()
    await asyncio.gather(wire.writer.wait_closed(), return_exceptions=True)
