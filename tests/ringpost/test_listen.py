"""A listening device behind a connection that loses, doubles and mixes up frames."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from api.server import HttpService, bound_socket
from infra.settings import GatewaySettings
from ringpost.http import Api, ApiError
from ringpost.listener import Listener
from tests.api.people import Person, Server
from tests.builders import running as running_services
from tests.builders import until
from tests.docs.running import running
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.same_on_all_engines
Spoil = Callable[[str], list[str]]
"""What becomes of one `entries` frame on its way: nothing, itself, or more."""


@pytest.fixture(scope="module")
def server(engines, tmp_path_factory) -> Iterator[Server]:
    """Its heart beats every half second, and a user may have two sockets."""
    name, folder = f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("listen")
    settings = {"RINGPOST_GATEWAY_HEARTBEAT_S": "0.5", "RINGPOST_GATEWAY_USER_SOCKETS": "2"}
    with (
        running(engines, name, folder, **settings) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http)


@pytest.fixture
def ann(server) -> Person:
    return server.person(f"u{secrets.token_hex(6)}")


class Relay:
    """Stands between a device and the server: spoils frames of entries, passes everything else on."""

    def __init__(self, url: str, spoil: Spoil) -> None:
        self._url = url
        self._spoil = spoil
        self.pulls: list[str] = []
        self.app = Starlette(
            routes=[Route("/v1/sync", self._pull), WebSocketRoute("/v1/connect", self._connect)]
        )

    async def _pull(self, request: Request) -> Response:
        self.pulls.append(request.query_params["cursor"])
        async with httpx.AsyncClient(base_url=self._url) as http:
            headers = {"authorization": request.headers["authorization"]}
            got = await http.get("/v1/sync", params=dict(request.query_params), headers=headers)
        return Response(got.content, got.status_code, media_type="application/json")

    async def _connect(self, socket: WebSocket) -> None:
        await socket.accept()
        headers = {"authorization": socket.headers["authorization"]}
        async with connect(
            self._url.replace("http", "ws", 1) + "/v1/connect", additional_headers=headers, proxy=None
        ) as server:
            await server.send(await socket.receive_text())
            async for text in server:
                assert isinstance(text, str)
                spoiled = self._spoil(text) if json.loads(text)["type"] == "entries" else [text]
                for one in spoiled:
                    await socket.send_text(one)


@asynccontextmanager
async def listening(ann: Person, spoil: Spoil) -> AsyncIterator[tuple[list[int], Relay]]:
    """The numbers that a device of hers has shown so far, and what stands between."""
    relay, shown = Relay(ann.server.url, spoil), []
    with bound_socket("127.0.0.1", 0) as bound:
        service = HttpService(relay.app, bound, GatewaySettings())
        async with running_services(service):
            await service.listening.wait()
            api = Api(f"http://127.0.0.1:{service.port}", ann.token)
            listener = Listener(api, 0, lambda entry: shown.append(entry["seq"]))
            task = asyncio.create_task(listener.run())
            try:
                yield shown, relay
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def lose_every_second() -> Spoil:
    turns = itertools.cycle(([], [0]))
    return lambda text: [text for _ in next(turns)]


def double_and_swap() -> Spoil:
    kept: list[str] = []

    def spoil(text: str) -> list[str]:
        kept.append(text)
        return [kept[-1], kept[-2], kept[-1]] if len(kept) % 2 == 0 else []

    return spoil


@pytest.mark.parametrize("spoil", [lose_every_second, double_and_swap])
async def test_device_shows_each_entry_once_in_order_whatever_becomes_of_frames(ann, spoil):
    async with listening(ann, spoil()) as (shown, _):
        notes = ann.direct(ann)
        for number in range(1, 9):
            await asyncio.to_thread(ann.send, notes, f"note {number}")
        await until(lambda: len(shown) >= 8)
    assert shown == list(range(1, 9))


async def test_head_beyond_and_nothing_coming_is_pulled(ann):
    """Every frame of entries is lost, so only heartbeats tell that there is something."""
    notes = ann.direct(ann)
    async with listening(ann, lambda _: []) as (shown, relay):
        await asyncio.to_thread(ann.send, notes)
        await until(lambda: shown == [1])
        await asyncio.to_thread(ann.send, notes)
        await until(lambda: shown == [1, 2])
    assert relay.pulls == ["0", "1"]


async def test_nothing_is_pulled_while_the_socket_brings_everything(ann):
    notes = ann.direct(ann)
    async with listening(ann, lambda text: [text]) as (shown, relay):
        for _ in range(5):
            await asyncio.to_thread(ann.send, notes)
        await until(lambda: len(shown) == 5)
    assert (shown, relay.pulls) == ([1, 2, 3, 4, 5], [])


@asynccontextmanager
async def told(ann: Person, cursor: int | None, url: str = "", **options: bool) -> AsyncIterator[list[str]]:
    """What a device of hers has said on stderr so far, and `entry N` where it printed one."""
    said: list[str] = []
    api = Api(url or ann.server.url, ann.token)
    listener = Listener(
        api, cursor, lambda entry: said.append(f"entry {entry['seq']}"), said.append, **options
    )
    task = asyncio.create_task(listener.run())
    try:
        yield said
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def acknowledged(ann: Person) -> int:
    return int(ann.get("/v1/sync/ack")["cursor"])


async def test_what_was_printed_is_acknowledged(ann):
    notes = ann.direct(ann)
    for _ in range(3):
        await asyncio.to_thread(ann.send, notes)
    await asyncio.to_thread(ann.arrived, 3)
    async with told(ann, None) as said:
        await until(lambda: "entry 3" in said)
        await until(lambda: acknowledged(ann) == 3)
        await asyncio.to_thread(ann.send, notes)
        await until(lambda: "entry 4" in said)
    await until(lambda: acknowledged(ann) == 4)  # also what was printed in the last moment


async def test_cursor_of_a_device_that_printed_nothing_or_shall_not_acknowledge_stays(ann):
    notes = ann.direct(ann)
    await asyncio.to_thread(ann.send, notes)
    await asyncio.to_thread(ann.arrived, 1)
    async with told(ann, 1) as said:
        await until(lambda: any("Connected as" in line for line in said))
    async with told(ann, 0, acknowledge=False) as said:
        await until(lambda: "entry 1" in said)
    assert acknowledged(ann) == 0


async def test_server_that_is_away_and_back_is_said_once_each_and_nothing_is_missed(ann):
    notes = ann.direct(ann)
    relay = Relay(ann.server.url, lambda text: [text])
    with bound_socket("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with told(ann, 0, url) as said:
        await until(lambda: said[1:] == [f"{url} is away: Connection refused. Trying again until it is back"])
        for number in (1, 2):
            with bound_socket("127.0.0.1", port) as bound:
                service = HttpService(relay.app, bound, GatewaySettings())
                async with running_services(service):
                    await asyncio.to_thread(ann.send, notes)
                    await until(lambda number=number: f"entry {number}" in said)
            await until(lambda: "is away" in said[-1])
    assert said[0] == f"Connecting to {url}"
    assert [("away" in line, "is back after" in line) for line in said[1:] if "entry" not in line] == [
        (True, False),
        (False, True),
    ] * 2 + [(True, False)]
    assert [line for line in said if "entry" in line] == ["entry 1", "entry 2"]


async def test_cursor_beyond_the_inbox_is_told_as_such(ann):
    with pytest.raises(ApiError, match=r"^cursor_ahead: .* ends at 0"):
        await Listener(Api(ann.server.url, ann.token), 100, lambda _: None).run()


async def test_reason_of_an_earlier_error_is_not_told_for_a_later_end(ann):
    """A server that goes away is not called overloaded because it was once, long ago."""
    error = json.dumps(
        {"type": "error", "error": {"code": "unavailable", "message": "Not now.", "retriable": True}}
    )
    notes = ann.direct(ann)
    with bound_socket("127.0.0.1", 0) as bound:
        service = HttpService(Relay(ann.server.url, lambda text: [error, text]).app, bound, GatewaySettings())
        async with told(ann, 0, f"http://127.0.0.1:{bound.getsockname()[1]}") as said:
            async with running_services(service):
                await asyncio.to_thread(ann.send, notes)
                await until(lambda: "entry 1" in said)
            await until(lambda: "is away" in said[-1])
            assert "unavailable" not in said[-1]


async def test_device_beyond_the_limit_says_so_and_comes_in_when_there_is_room(ann):
    others = [ann.server.person(ann.user_id, device) for device in ("desk", "watch")]
    async with AsyncExitStack() as connected:
        for other in others:
            lines = await connected.enter_async_context(told(other, None))
            await until(lambda lines=lines: any("Connected as" in line for line in lines))
        async with told(ann, None) as said:
            await until(lambda: len(said) > 1)
            assert "is away: overloaded: This user has too many connections. Trying again" in said[1]
            await connected.aclose()
            await until(lambda: "is back" in said[-1])
