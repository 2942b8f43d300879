"""The people of a run: users with one device each, and conversations between them."""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import uvloop

from benchmarks.book import FIRST_REF, Book
from benchmarks.sockets import ABNORMAL, RECONNECT, Device, Server, Sockets, client_frame
from benchmarks.wire import Http
from infra.descriptors import raise_limit

Item = TypeVar("Item")
Result = TypeVar("Result")
AT_ONCE = 32
OPEN_WITHIN_S = 120.0
COME_BACK_S = 0.25
SPARE_FILES = 64
_slow = re.compile(rb'^ringpost_sockets_closed_total\{code="4001"\} (\S+)$', re.MULTILINE)


class Post(NamedTuple):
    """What a member can send: the number of the conversation, and a frame that lacks only the number."""

    device: Device
    conversation: int
    frame: bytes


class World:
    """Users and conversations on one server. They stay there when the run is over.

    It grows when a scenario needs more. Scenarios use the same users one after the other.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.run = f"load-{secrets.token_hex(4)}"
        self.sockets = Sockets()
        self.devices: list[Device] = []
        self._conversations: dict[tuple[int, ...], str] = {}
        self._connected: list[Device] = []
        self._coming_back: list[tuple[float, Device]] = []
        self._book = Book("nothing", ())
        self._books = 0

    def user(self, number: int) -> str:
        return f"{self.run}-{number}"

    def grow(self, users: int) -> list[Device]:
        """That many devices, each of a user of its own. Raises OSError, TimeoutError, RuntimeError."""
        allowed = raise_limit() - SPARE_FILES
        if users > allowed:
            raise RuntimeError(
                f"{users} connections need more open files than this process may have ({allowed}): raise the "
                "hard limit (ulimit -Hn), or ask for fewer."
            )
        missing = range(len(self.devices), users)
        for number, token in zip(missing, self._calls(self._person, missing), strict=True):
            self.devices.append(Device(self.sockets, number, token))
        return self.devices[:users]

    def open(self, groups: Sequence[tuple[int, ...]]) -> list[str]:
        """The conversations of these members; two are a direct one. The first member opens it."""
        fresh = [members for members in groups if members not in self._conversations]
        made = self._calls(self._conversation, fresh)
        self._conversations |= dict(zip(fresh, made, strict=True))
        return [self._conversations[members] for members in groups]

    def book(self, groups: Sequence[tuple[int, ...]]) -> Book:
        """A fresh book for these conversations."""
        self._books += 1
        return Book(f"{self.run}.{self._books}", [len(members) for members in groups])

    def posts(self, book: Book, groups: Sequence[tuple[int, ...]], text_bytes: int) -> list[list[Post]]:
        """For each conversation what each of its members can send. All frames have their final length."""
        made = []
        for number, (members, conversation) in enumerate(zip(groups, self.open(groups), strict=True)):
            text = (
                f'{{"type":"send","ref":%d,"conversation_id":"{conversation}","client_message_id":'
                f'"{book.tag}.%d","kind":"text","body":{{"text":"{"x" * text_bytes}"}}}}'
            ).encode()
            size = len(text % (FIRST_REF, FIRST_REF))
            head = client_frame(bytes(size))[:-size]
            frame = head.replace(b"%", b"%%") + text
            made.append([Post(self.devices[member], number, frame) for member in members])
        return made

    def _calls(self, work: Callable[[Http, Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
        """The results of all these calls over HTTP, in the order of the items."""

        async def all_of_them() -> list[Result]:
            http = Http(self.server.host, self.server.port, AT_ONCE)
            slots = asyncio.Semaphore(AT_ONCE)

            async def one(item: Item) -> Result:
                async with slots:
                    return await work(http, item)

            try:
                return await asyncio.gather(*map(one, items))
            finally:
                await http.close()

        return uvloop.run(all_of_them())

    async def _person(self, http: Http, number: int) -> str:
        key = self.server.admin_key
        await _expect(http, "PUT", f"/v1/users/{self.user(number)}", key, {})
        return await self._token(http, number, "load")

    async def _token(self, http: Http, number: int, device: str) -> str:
        asked = {"user_id": self.user(number), "device_id": device}
        answer = await _expect(http, "POST", "/v1/tokens", self.server.admin_key, asked)
        return str(json.loads(answer)["token"])

    async def _conversation(self, http: Http, members: tuple[int, ...]) -> str:
        others = [self.user(number) for number in members[1:]]
        asked: dict[str, Any] = {"kind": "group", "members": others}
        if len(members) == 2:
            asked = {"kind": "direct", "with": others[0]}
        answer = await _expect(http, "POST", "/v1/conversations", self.devices[members[0]].token, asked)
        return str(json.loads(answer)["conversation_id"])

    def add_deaf(self, count: int, book: Book) -> None:
        """The first users get one more device each, which does not read."""

        async def token(http: Http, number: int) -> str:
            return await self._token(http, number, "deaf")

        for number, made in enumerate(self._calls(token, range(count))):
            deaf = Device(self.sockets, number, made)
            deaf.head = self.devices[number].head
            deaf.connect(self.server, book, deaf=True)
            self._connected.append(deaf)

    def closed_slow(self) -> int:
        """Sockets that the API closed as slow so far, by its own count."""

        async def metrics(http: Http, path: str) -> bytes:
            return await _expect(http, "GET", path, self.server.admin_key, None)

        (text,) = self._calls(metrics, ["/metrics"])
        found = _slow.search(text)
        return round(float(found.group(1))) if found else 0

    def connect(self, devices: Sequence[Device], book: Book) -> None:
        """All of them online, right after what each has seen. Raises TimeoutError."""
        self.begin_to_connect(devices, book)
        deadline = time.perf_counter() + OPEN_WITHIN_S
        while not all(device.ready for device in devices):
            if time.perf_counter() > deadline:
                reasons = ", ".join(book.errors) or "no answer"
                raise TimeoutError(f"not all devices were connected within {OPEN_WITHIN_S:g} s: {reasons}")
            self.turn(0.1)

    def begin_to_connect(self, devices: Sequence[Device], book: Book) -> None:
        self._book = book
        self._connected = [*self._connected, *devices]
        for device in devices:
            device.connect(self.server, book)

    def turn(self, wait_s: float, exact: bool = False) -> None:
        """Handle what arrives first within this time. Closed devices come back with their cursor."""
        self.sockets.turn(wait_s, exact)
        if self.sockets.lost or self._coming_back:
            self._bring_back(time.perf_counter())

    def _bring_back(self, now: float) -> None:
        for device in self.sockets.lost:
            self._book.errors[f"socket closed {device.close_code}"] += 1
            if device.close_code in RECONNECT or device.close_code == ABNORMAL:
                self._coming_back.append((now + COME_BACK_S * (0.5 + random.random()), device))
        self.sockets.lost.clear()
        for at, device in self._coming_back:
            if at <= now:
                device.connect(self.server, self._book)
        self._coming_back = [(at, device) for at, device in self._coming_back if at > now]

    def disconnect(self) -> None:
        """All devices offline."""
        self._coming_back.clear()
        for device in self._connected:
            device.close()
        self._connected.clear()
        self.sockets.lost.clear()

    def close(self) -> None:
        self.disconnect()
        self.sockets.close()


async def _expect(http: Http, method: str, path: str, key: str, body: dict[str, Any] | None) -> bytes:
    """The body of a good answer. Raises OSError, TimeoutError, RuntimeError."""
    answer = await http.call(method, path, key, b"" if body is None else json.dumps(body).encode())
    if answer.status not in (200, 201):
        raise RuntimeError(f"the server answered {answer.status}: {answer.body.decode()}")
    return answer.body
