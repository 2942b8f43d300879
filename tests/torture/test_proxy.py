"""The network that can be cut: refused or stalled for one part, untouched for the others."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.builders import until
from tests.torture.proxy import Proxy, owner_of

ANN, BOB = "api-1", "api-2"


class Client:
    """Someone who says things to the engine, and hears them again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def says(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    async def hears(self, count: int, within_s: float = 5.0) -> bytes:
        async with asyncio.timeout(within_s):
            return await self.reader.readexactly(count)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1000):
            writer.write(data)
    writer.transport.abort()


@pytest.fixture
async def network() -> AsyncIterator[tuple[Proxy, dict[int, str]]]:
    """A proxy before an engine that echoes, and who has which port."""
    owners: dict[int, str] = {}
    proxy = Proxy(lambda port, at: owners.get(port))
    engine = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with engine:
        await proxy.open()
        proxy.target = engine.sockets[0].getsockname()[1]
        yield proxy, owners
        await proxy.close()
        await until(lambda: engine._active_count == 0)  # noqa: SLF001 - asyncio tells it nowhere else


@asynccontextmanager
async def connected(network: tuple[Proxy, dict[int, str]], part: str) -> AsyncIterator[Client]:
    proxy, owners = network
    loop = asyncio.get_running_loop()
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    own.setblocking(False)
    owners[own.getsockname()[1]] = part
    await loop.sock_connect(own, ("127.0.0.1", proxy.port))
    reader, writer = await asyncio.open_connection(sock=own)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_bytes_pass_both_ways(network):
    async with connected(network, ANN) as ann:
        await ann.says(b"hello")
        assert await ann.hears(5) == b"hello"


async def test_cut_breaks_the_connections_of_one_part_only(network):
    async with connected(network, ANN) as ann, connected(network, BOB) as bob:
        for client in (ann, bob):
            await client.says(b"1")
            await client.hears(1)
        network[0].cut(ANN, stalled=False)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await ann.hears(1)
        await bob.says(b"2")
        assert await bob.hears(1) == b"2"


async def test_refused_part_cannot_connect_until_it_is_healed(network):
    network[0].cut(ANN, stalled=False)
    async with connected(network, ANN) as ann:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await ann.hears(1)
    network[0].heal(ANN)
    async with connected(network, ANN) as ann:
        await ann.says(b"1")
        assert await ann.hears(1) == b"1"


async def test_stalled_bytes_come_once_it_is_healed(network):
    async with connected(network, ANN) as ann:
        await ann.says(b"1")
        await ann.hears(1)
        network[0].cut(ANN, stalled=True)
        await ann.says(b"2")
        with pytest.raises(TimeoutError):
            await ann.hears(1, within_s=0.2)
        network[0].heal(ANN)
        assert await ann.hears(1) == b"2"


async def test_owner_of_a_connection_is_the_process_that_opened_it(network):
    proxy, _ = network
    async with connected(network, ANN) as ann:
        port = ann.writer.get_extra_info("sockname")[1]
        assert owner_of(port, proxy.port, [1, os.getpid()]) == os.getpid()
        assert owner_of(port, proxy.port, []) is None
        assert owner_of(1, proxy.port, [os.getpid()]) is None
