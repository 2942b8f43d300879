"""Requests as bytes: their heads are bounded, in size and in time, and no Upgrade loses a body."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from api.connection import MOST_HEADER_BYTES, MOST_HEADERS, MOST_LINE_BYTES, NO_ROUTE, STEP_BYTES
from tests.api.raw import echo
from tests.api.served import served

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
PART = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def port():
    async with served(echo) as found:
        yield found


@pytest.mark.parametrize(
    "upgrade",
    [
        H2C,
        b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
        b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
        b"Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        b"Upgrade: websocket\r\n",
    ],
    ids=["h2c", "two", "tls", "websocket on a POST", "not a Connection option"],
)
@pytest.mark.parametrize("form", ["length", "chunked", "piece by piece"])
async def test_request_with_an_upgrade_that_is_not_taken_keeps_its_body(port, wires, upgrade, form):
    body = b'{"text": "' + b"x" * 70_000 + b'"}'
    framing = b"Transfer-Encoding: chunked" if form == "chunked" else b"Content-Length: %d" % len(body)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if form == "chunked" else body
    request = b"POST /a HTTP/1.1\r\nHost: x\r\n%b%b\r\n\r\n%b" % (upgrade, framing, framed)
    wire = await wires(port)
    step = 100 if form == "piece by piece" else len(request)
    for at in range(0, len(request), step):
        wire.writer.write(request[at : at + step])
        await wire.writer.drain()
    expected = {"method": "POST", "path": "/a", "body": body.decode()}
    status, _, answer = await wire.answer()
    assert (status, answer) == (200, expected)
    wire.writer.write(request)  # and the connection serves the next
    assert (await wire.answer())[2] == expected


async def test_requests_that_follow_one_with_an_upgrade_are_served_in_their_order(port, wires):
    first = b"POST /1 HTTP/1.1\r\nHost: x\r\n" + H2C + b"Content-Length: 2\r\n\r\nab"
    second = b"GET /2 HTTP/1.1\r\nHost: x\r\n" + H2C + b"\r\n"
    wire = await wires(port, first + second + first)
    asked = [(await wire.answer())[2] for _ in range(3)]
    assert [(one["path"], one["body"]) for one in asked] == [("/1", "ab"), ("/2", ""), ("/1", "ab")]


async def test_upgrade_to_a_websocket_is_taken(port, wires):
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    wire = await wires(port, head + key + b"\r\n")
    status, headers, _ = await wire.answer()
    assert (status, headers["upgrade"]) == (101, "websocket")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MOST_LINE_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * MOST_LINE_BYTES,
        PART + b"A: " + b"x" * MOST_HEADER_BYTES + b"\r\n\r\n",
        PART + b"A: " + b"x" * (MOST_HEADER_BYTES + STEP_BYTES),
        PART + b"A" * (MOST_HEADER_BYTES + STEP_BYTES),
        PART + b"A: 1\r\n" * (MOST_HEADERS + 1),
        PART + (b"A: " + b"x" * 1_000 + b"\r\n") * 33 + b"\r\n",
    ],
    ids=["line", "line without end", "header", "header without end", "name", "headers", "all"],
)
@pytest.mark.parametrize("step", [1_000_000, 1_000])
async def test_head_beyond_its_bound_is_refused_before_it_is_complete(port, wires, head, step):
    wire = await wires(port)
    for at in range(0, len(head), step):
        wire.writer.write(head[at : at + step])
    status, headers, answer = await wire.answer()
    assert (status, answer["error"]["code"]) == (431, "head_too_large")
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
    assert await wire.end() == b""


async def test_old_request_needs_no_host(port, wires):
    wire = await wires(port, b"GET / HTTP/1.0\r\n\r\n")
    assert (await wire.answer())[0] == 200


async def test_head_that_fills_its_bounds_is_served(port, wires):
    line = b"GET /%b HTTP/1.1\r\n" % (b"x" * (MOST_LINE_BYTES - 1))
    some = b"A: 1\r\n" * (MOST_HEADERS - 2)
    rest = MOST_HEADER_BYTES - len(some) - len(b"host: x\r\nb: \r\n")
    wire = await wires(port, line + b"Host: x\r\n" + some + b"B: " + b"x" * rest + b"\r\n\r\n")
    assert (await wire.answer())[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        PART + b"Host: y\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
        PART + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        PART + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=[
        "nonsense",
        "CONNECT",
        "no host",
        "two hosts",
        "two hosts of 1.0",
        "gzip",
        "gzip in a line of its own",
    ],
)
async def test_what_is_no_request_of_ours_gets_an_error_in_our_form(port, wires, sent):
    wire = await wires(port, sent)
    status, _, answer = await wire.answer()
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    assert await wire.end() == b""


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"", None),
        (b"\r\n", None),
        (PART, 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", 408),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408),
    ],
    ids=["nothing", "empty lines", "head", "body", "chunks"],
)
async def test_request_that_does_not_arrive_in_time_is_ended(wires, sent, status):
    async with served(echo, read_s=0.3) as port:
        wire = await wires(port, sent)
        if status is not None:
            assert (await wire.answer())[0] == status
        assert await wire.end() == b""


POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
BAD_CHUNK = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnone\r\n"


async def answer_at_once(scope: Any, receive: Any, send: Any) -> None:
    """Looks at no body."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("sent, more", [(POST, b""), (BAD_CHUNK[:-6], BAD_CHUNK[-6:])], ids=["slow", "wrong"])
async def test_request_that_was_answered_early_gets_no_second_answer(wires, sent, more):
    async with served(answer_at_once, read_s=0.3) as port:
        wire = await wires(port, sent)
        assert (await wire.answer())[0] == 413
        wire.writer.write(more)
        assert await wire.end() == b""


async def test_body_that_is_complete_after_its_answer_leaves_the_connection_usable(wires):
    async with served(answer_at_once) as port:
        wire = await wires(port, POST)
        assert (await wire.answer())[0] == 413
        wire.writer.write(b"defghij" + PART + b"\r\n")
        assert (await wire.answer())[0] == 413


async def test_dribbled_bytes_do_not_lengthen_the_time_of_a_request(wires):
    async with served(echo, read_s=0.3) as port:
        wire = await wires(port, PART + b"\r\n")
        assert (await wire.answer())[0] == 200
        answered = asyncio.create_task(wire.answer())
        wire.writer.write(b"\r\n" + PART)
        while not answered.done() and not wire.writer.is_closing():
            wire.writer.write(b"A")
            await asyncio.wait([answered], timeout=0.02)
        assert (await answered)[0] == 408


async def test_empty_lines_do_not_keep_a_connection_that_was_used(wires):
    async with served(echo, read_s=0.3) as port:
        wire = await wires(port, PART + b"\r\n")
        assert (await wire.answer())[0] == 200
        wire.writer.write(b"\r\n")
        assert await wire.end() == b""


async def test_request_that_is_answered_slowly_is_not_ended(wires):
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        arrived.set()
        await release.wait()
        await echo(scope, receive, send)

    async with served(slow, read_s=0.2) as port:
        wire = await wires(port, PART + b"\r\n")
        await arrived.wait()
        idle = await wires(port)  # begun later: when this one is ended, the time of the other is long over
        assert await idle.end() == b""
        release.set()
        assert (await wire.answer())[0] == 200


async def test_request_that_was_refused_is_counted(port, wires):
    labels = {"route": NO_ROUTE, "status": "431"}
    before = REGISTRY.get_sample_value("ringpost_requests_total", labels) or 0.0
    wire = await wires(port, b"GET /" + b"x" * MOST_LINE_BYTES + b" HTTP/1.1\r\n\r\n")
    await wire.answer()
    assert REGISTRY.get_sample_value("ringpost_requests_total", labels) == before + 1
