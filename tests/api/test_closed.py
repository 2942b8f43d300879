"""A socket that the gateway closes is counted once, by its code: also before hello and when no pong comes."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.api.people import Server, bearer, opened
from tests.builders import until
from tests.docs.running import running
from tests.patience import PATIENCE_S

_closed = re.compile(r'^ringpost_sockets_closed_total\{code="(\d+)"\} (\S+)$', re.MULTILINE)


@pytest.fixture(scope="module")
def server(engines, tmp_path_factory) -> Iterator[Server]:
    """One that is quick to give up a device."""
    waits = {"HELLO_TIMEOUT_S": "3", "HEARTBEAT_S": "0.5", "PONG_TIMEOUT_S": "5"}
    settings = {f"RINGPOST_GATEWAY_{name}": value for name, value in waits.items()}
    folder = tmp_path_factory.mktemp("closed")
    with (
        running(engines, f"t{secrets.token_hex(5)}", folder, **settings) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http)


def counts(server: Server) -> dict[int, int]:
    found = _closed.findall(server.admin("GET", "/metrics").text)
    return {int(code): round(float(count)) for code, count in found}


async def counted_once(server: Server, code: int, before: dict[int, int]) -> bool:
    expected = before | {code: before.get(code, 0) + 1}
    return await until(lambda: counts(server) == expected)


def code_without_pongs(server: Server, token: str) -> int | None:
    """The code with which the device is closed that hears everything and answers nothing."""
    url = server.url.replace("http", "ws", 1) + "/v1/connect"
    client = ClientProtocol(parse_uri(url))
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
        request = client.connect()
        request.headers.update(bearer(token))
        client.send_request(request)
        connection.sendall(b"".join(client.data_to_send()))
        while client.state is State.CONNECTING:
            client.receive_data(connection.recv(65_536))
        client.send_text(b'{"type":"hello"}')
        connection.sendall(b"".join(client.data_to_send()))
        while client.close_rcvd is None and (received := connection.recv(65_536)):
            client.receive_data(received)
        return client.close_rcvd and client.close_rcvd.code


async def test_device_that_answers_no_ping_is_closed_as_dead(server):
    before = counts(server)
    assert code_without_pongs(server, server.person("deaf").token) == 4002
    assert await counted_once(server, 4002, before)


async def test_socket_that_is_closed_before_its_hello_is_counted(server):
    before = counts(server)
    with opened(server, bearer(server.person("mute").token)) as silent:
        assert silent.closed() == 4503
    assert await counted_once(server, 4503, before)


async def test_socket_that_is_closed_after_its_hello_is_counted(server):
    before = counts(server)
    with server.person("odd").socket() as odd:
        odd.connection.send("no JSON")
        assert odd.closed() == 4500
    assert await counted_once(server, 4500, before)
