"""One running Ringpost for all tests of the API, and people who use it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.api.people import Person, Server
from tests.api.raw import Wire, closed, opened
from tests.docs.running import running
from tests.patience import PATIENCE_S


@pytest.fixture(scope="session")
def server(engines, tmp_path_factory) -> Iterator[Server]:
    """The API and its workers; the heart of a socket beats twice a second."""
    own = {"RINGPOST_GATEWAY_HELLO_TIMEOUT_S": str(PATIENCE_S), "RINGPOST_GATEWAY_HEARTBEAT_S": "0.5"}
    name = f"t{secrets.token_hex(5)}"
    with (
        running(engines, name, tmp_path_factory.mktemp("api"), **own) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http, ringpost.worker_url)


@pytest.fixture(scope="session")
def person(server) -> Callable[..., Person]:
    """Someone new, with one device."""

    def make(**fields: Any) -> Person:
        return server.person(f"u{secrets.token_hex(6)}", **fields)

    return make


@pytest.fixture
def ann(person) -> Person:
    return person()


@pytest.fixture
def bob(person) -> Person:
    return person()


@pytest.fixture
def cem(person) -> Person:
    return person()


@pytest.fixture
async def wires():
    """Opens connections, and closes them in the end."""
    made: list[Wire] = []

    async def make(port: int, *sent: bytes) -> Wire:
        made.append(await opened(port, *sent))
        return made[-1]

    yield make
    for wire in made:
        await closed(wire)
