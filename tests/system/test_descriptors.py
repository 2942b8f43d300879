"""A process that has no file descriptors left says so to clients, and still answers operators."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.admission import LOGGED_EVERY_S, REFUSED_AT_ONCE
from infra.descriptors import connections_of
from tests.builders import until
from tests.docs.running import ADMIN_KEY
from tests.system.parts import Part, opened_parts

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

HARD = 300
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


async def asked(api: Part, method: str, path: str, **more: Any) -> httpx.Response:
    """Over a connection of its own."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return await client.request(method, f"{api.url}{path}", **more)


async def socket_of(api: Part) -> ClientConnection:
    url = api.url.replace("http", "ws", 1) + "/v1/connect"
    return await connect(url, proxy=None, open_timeout=60, ping_interval=None)


async def open_until_refused(api: Part, sockets: list[ClientConnection], stack: AsyncExitStack) -> None:
    for _ in range(HARD):
        sockets.append(await socket_of(api))
        stack.push_async_callback(sockets[-1].close)


async def silent_connection(api: Part) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))


async def refused(api: Part, kind: str) -> float:
    text = (await asked(api, "GET", "/metrics")).text
    found = re.search(rf'^ringpost_refused_total{{kind="{kind}"}} (\S+)$', text, re.M)
    return float(found[1]) if found else 0.0


async def test_sockets_beyond_the_file_descriptors_are_told_so_and_operators_are_answered(
    engines, unique, tmp_path
):
    settings = {"RINGPOST_GATEWAY_HELLO_TIMEOUT_S": "300"}
    async with opened_parts(engines, unique, tmp_path, **settings) as parts, AsyncExitStack() as stack:
        api = parts.spawn("api", limits=f"ulimit -n {HARD} && ulimit -Sn 64")
        await api.ready()
        began = time.monotonic()
        sockets: list[ClientConnection] = []
        with pytest.raises(InvalidStatus) as caught:
            await open_until_refused(api, sockets, stack)
        answer = caught.value.response
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert json.loads(answer.body)["error"]["code"] == "overloaded"
        assert connections_of(64) < len(sockets) <= connections_of(HARD), "the soft limit was raised"

        for path in ("/health/live", "/health/ready"):
            assert (await asked(api, "GET", path)).status_code == 200
        assert (await asked(api, "PUT", "/v1/users/ann", json={}, headers=ADMIN)).status_code == 200
        plain = await asked(api, "GET", "/v1/conversations")
        assert (plain.status_code, plain.json()["error"]["code"]) == (503, "overloaded")
        assert (plain.headers["retry-after"], plain.headers["connection"]) == ("1", "close")
        assert (await refused(api, "socket"), await refused(api, "request")) == (1, 1)

        # However many say nothing, who asks after them is answered; the log has a line a minute about all.
        silent = await asyncio.gather(*(silent_connection(api) for _ in range(REFUSED_AT_ONCE + 20)))
        assert (await asked(api, "GET", "/health/live")).status_code == 200
        assert await refused(api, "connection") >= 1
        for reader, writer in silent:
            await until(lambda reader=reader: ended(reader), 60)
            writer.close()
        lines = api.tail().count("raise the hard limit of open files")
        assert 1 <= lines <= 1 + (time.monotonic() - began) / LOGGED_EVERY_S

        for socket in sockets[:5]:
            await socket.close()
        for _ in range(5):
            again = await until(lambda: let_in(api), 60)
            stack.push_async_callback(again.close)


async def let_in(api: Part) -> ClientConnection | None:
    try:
        return await socket_of(api)
    except InvalidStatus:
        return None


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 0.1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
