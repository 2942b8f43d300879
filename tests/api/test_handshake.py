"""The opening of a WebSocket: what is no opening is answered as HTTP, and none waits for ever."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from api.app import make_app
from api.contract import error_response
from api.gateway.frames import Close
from api.socket import SOCKET
from domain.errors import Overloaded
from tests.api.raw import ENDS_S, echo
from tests.api.served import HEARTBEAT_S, served

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
LINE_BYTES = 8_192


def opening(*lines: bytes, query: bytes = b"", proof: bytes = KEY + VERSION) -> bytes:
    head = b"GET /v1/connect%b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % query
    return head + proof + b"".join(lines) + b"\r\n"


def header(size: int) -> bytes:
    """A line of so many bytes."""
    return b"Cookie: " + b"a" * (size - len(b"Cookie: \r\n")) + b"\r\n"


@pytest.mark.parametrize(
    "sent, expected",
    [
        (opening(header(LINE_BYTES + 1)), 431),
        (opening(query=b"?" + b"a" * 9_000), 431),
        (opening(b"Content-Length: 5\r\n"), 400),
        (opening(b"Transfer-Encoding: chunked\r\n"), 400),
        (opening(proof=VERSION), 400),
        (opening(proof=KEY * 2 + VERSION), 400),
        (opening(proof=b"Sec-WebSocket-Key: c2hvcnQ=\r\n" + VERSION), 400),
        (opening(proof=b"Sec-WebSocket-Key: ???\r\n" + VERSION), 400),
        (opening(proof=KEY), 426),
        (opening(proof=KEY + b"Sec-WebSocket-Version: 12\r\n"), 426),
    ],
    ids=[
        "long header",
        "long query",
        "body",
        "chunks",
        "no key",
        "two keys",
        "short key",
        "no base64",
        "no version",
        "other version",
    ],
)
async def test_what_is_no_opening_is_answered_at_once_and_closed(wires, sent, expected):
    async with served(echo) as port:
        wire = await wires(port, sent)
        status, headers, answer = await wire.answer()
        code = "head_too_large" if expected == 431 else "bad_request"
        assert (status, answer["error"]["code"]) == (expected, code)
        assert headers.get("sec-websocket-version") == ("13" if expected == 426 else None)
        assert await wire.end() == b""


@pytest.mark.parametrize("more", [header(LINE_BYTES), b"Content-Length: 0\r\n"], ids=["long", "no body"])
async def test_opening_that_the_protocol_can_take_is_taken(wires, more):
    async with served(echo) as port:
        wire = await wires(port, opening(more))
        assert (await wire.answer())[0] == 101


async def test_opening_that_the_application_leaves_open_is_ended(wires):
    ended = asyncio.Event()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        assert (await receive())["type"] == "websocket.disconnect"
        ended.set()

    async with served(silent, read_s=0.3) as port:
        wire = await wires(port, opening())
        assert await wire.end() == b""
        await ended.wait()


async def test_socket_that_was_taken_outlives_the_time_of_its_opening(wires):
    release = asyncio.Event()

    async def taking(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await release.wait()
        await send({"type": "websocket.send", "text": "there"})
        await send({"type": "websocket.close", "code": 4000})

    async with served(taking, read_s=0.2) as port:
        wire = await wires(port, opening())
        assert (await wire.answer())[0] == 101
        idle = await wires(port)  # begun later: when this one is ended, the time of the other is long over
        assert await idle.end() == b""
        release.set()
        async with asyncio.timeout(ENDS_S):
            await wire.reader.readuntil(b"there")


async def test_socket_that_is_refused_by_an_answer_is_no_fault_in_the_log(wires, caplog):
    async def full(scope: Any, receive: Any, send: Any) -> None:
        await error_response(Overloaded("Full."))(scope, receive, send)

    with caplog.at_level(logging.WARNING):
        async with served(full) as port:
            wire = await wires(port, opening())
            status, _, answer = await wire.answer()
            assert (status, answer["error"]["code"]) == (503, "overloaded")
            assert await wire.end() == b""
    assert caplog.messages == []


async def test_socket_to_a_path_that_is_not_there_is_told_so(wires):
    app: Any = make_app([], [], None, 1_000)  # type: ignore[arg-type]
    async with served(app) as port:
        wire = await wires(port, opening())
        status, _, answer = await wire.answer()
        assert (status, answer["error"]["code"]) == (404, "not_found")
        assert await wire.end() == b""


class Ignoring:
    """A listener to whom nothing matters."""

    def received(self, frame):
        pass

    pause = resume = ended = lambda self: None


async def test_device_that_reads_late_gets_the_close_code_behind_what_it_was_sent(wires, monkeypatch):
    monkeypatch.setattr("api.socket.ABORT_S", 0.1)
    reason = Close.SLOW.reason.encode()
    closing = bytes((0x88, 2 + len(reason))) + Close.SLOW.to_bytes(2, "big") + reason

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = scope["extensions"][SOCKET]
        socket.take_over(Ignoring())
        for _ in range(400):
            socket.write([b"x" * 65_000])
        socket.close(Close.SLOW)

    async with served(slow) as port:
        wire = await wires(port, opening())
        await asyncio.sleep(4 * HEARTBEAT_S + 0.1)
        sent = bytearray()
        async with asyncio.timeout(ENDS_S):
            while not sent.endswith(closing) and (more := await wire.reader.read(2**20)):
                sent += more
    assert sent.count(b"\x81\x7e" + (65_000).to_bytes(2, "big")) == 400
    assert sent.endswith(closing)
