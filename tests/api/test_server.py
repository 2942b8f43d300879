"""The server under the gateway, with an application of a few lines above it."""

from __future__ import annotations

import asyncio
import inspect
import socket
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from api.gateway.frames import Close
from api.server import bound_socket
from infra.descriptors import raise_limit
from infra.settings import SettingsError
from tests.api.served import HEARTBEAT_S, served


def counted_as_dead() -> float:
    code = str(int(Close.HEARTBEAT_MISSED))
    return REGISTRY.get_sample_value("ringpost_sockets_closed_total", {"code": code}) or 0.0


async def hear_all_and_answer_nothing(port: int) -> int | None:
    """The code of the close, once the server has let go of the connection."""
    client = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
    client.send_request(client.connect())
    writer.write(b"".join(client.data_to_send()))
    while received := await reader.read(65_536):
        client.receive_data(received)
    writer.close()
    await writer.wait_closed()
    assert client.state is not State.CONNECTING
    return client.close_rcvd and client.close_rcvd.code


async def test_socket_whose_pong_falls_due_after_another_close_is_not_counted_as_dead():
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.sleep(2 * HEARTBEAT_S)  # so that a pong is awaited
        await send({"type": "websocket.close", "code": int(Close.SLOW)})

    before = counted_as_dead()
    async with served(application) as port:
        assert await hear_all_and_answer_nothing(port) == Close.SLOW
    assert counted_as_dead() == before


async def test_socket_that_answers_no_ping_is_counted_as_dead():
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    before = counted_as_dead()
    async with served(application) as port:
        assert await hear_all_and_answer_nothing(port) == Close.HEARTBEAT_MISSED
    assert counted_as_dead() == before + 1


def test_inside_of_the_protocol_that_ours_builds_on_is_that_of_uvicorn_0_54():
    """`api/socket.py` changes these and reads those. Look at it again before you raise the bound."""
    assert version("uvicorn").startswith("0.54.")
    state = (
        "close_sent close_timeout close_timer curr_msg_data_type frames handshake_complete "
        "handshake_initiated read_paused scope tasks writable"
    )
    source = inspect.getsource(WebSocketsSansIOProtocol)
    for name in state.split():
        assert f"self.{name}" in source, name
    for method in ("handle_connect", "run_asgi", "send_receive_event_to_app", "stop_keepalive"):
        assert f"self.{method}(" in source
    assert source.count("self.queue.") == source.count("self.queue.put_nowait(") + 2


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "2001:db8::1"])
@pytest.mark.parametrize("part", ["HTTP", "HTTP_ADMIN", "WORKER"])
def test_host_of_another_machine_is_named_by_the_setting_of_the_host(host, part):
    said = rf"^RINGPOST_{part}_HOST must be an address or the name of this machine, and is {host}\.$"
    with pytest.raises(SettingsError, match=said):
        bound_socket(host, 0, f"RINGPOST_{part}_PORT")


async def test_connections_that_come_all_at_once_wait_to_be_accepted():
    """As many as this machine lets wait: the kernel holds the others off for seconds."""
    raise_limit()
    many = min(int(Path("/proc/sys/net/core/somaxconn").read_text()), 3_000)
    async with served(hear_nothing) as port:
        with ExitStack() as open_ones:
            for _ in range(many):  # the server has no turn meanwhile
                one = open_ones.enter_context(socket.socket())
                one.settimeout(0.5)
                one.connect(("127.0.0.1", port))


async def hear_nothing(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()
