"""The people of a run: users with one connected device each, and conversations between them."""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from benchmarks.book import Book
from benchmarks.wire import ANSWER_DEADLINE_S, Answer, Http, Socket

Item = TypeVar("Item")
Result = TypeVar("Result")
AT_ONCE = 16
RECONNECT = range(4000, 4500)
DEAF_RECEIVE_BYTES = 4_096
_slow = re.compile(rb'^ringpost_sockets_closed_total\{code="4001"\} (\S+)$', re.MULTILINE)


class Server(NamedTuple):
    host: str
    port: int
    admin_key: str


class _Message(Struct):
    client_message_id: str


class _Entry(Struct):
    seq: int
    message: _Message


class _Fault(Struct):
    code: str


class _Frame(Struct):
    type: str
    ref: int | None = None
    entries: list[_Entry] = []
    error: _Fault | None = None


_frame = msgspec.json.Decoder(_Frame)


class Device:
    """A user's one device: reads entries into the book, and sends if asked to."""

    def __init__(self, user: int, token: str) -> None:
        self.user = user
        self.token = token
        self._socket: Socket | None = None
        self._welcome = asyncio.Event()
        self._sends: dict[int, asyncio.Future[str | None]] = {}

    async def connect(self, server: Server, book: Book) -> None:
        """Online when it returns, right after what the book has seen of this user. Raises OSError."""

        def on_text(text: bytes, at: float) -> None:
            frame = _frame.decode(text)
            for entry in frame.entries:
                book.arrived(self.user, entry.seq, entry.message.client_message_id, at)
            if frame.ref is not None and (waiting := self._sends.pop(frame.ref, None)) is not None:
                waiting.set_result(frame.error.code if frame.error else None)
            elif frame.type == "welcome":
                self._welcome.set()

        self._welcome.clear()
        socket = Socket(on_text)
        await socket.connect(server.host, server.port, "/v1/connect", self.token)
        self._socket = socket
        hello = {"type": "hello", "cursor": book.head(self.user)}
        socket.send_text(json.dumps(hello).encode())
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            await self._welcome.wait()

    @property
    def close_code(self) -> int | None:
        """None while connected."""
        return None if self._socket is None else self._socket.close_code

    async def send(self, number: int, message: bytes) -> str | None:
        """The error code, or None when stored. `message` is the JSON object of `POST /v1/messages`."""
        if self._socket is None or self.close_code is not None:
            return "not connected"
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._sends[number] = answered
        self._socket.send_text(b'{"type":"send","ref":%d,%b' % (number, message[1:]))
        try:
            return await asyncio.wait_for(answered, ANSWER_DEADLINE_S)
        except TimeoutError:
            return "no answer"
        finally:
            self._sends.pop(number, None)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


class DeafDevice:
    """A further device of a user, which says hello and never reads."""

    def __init__(self, device: Device, token: str) -> None:
        self._of = device
        self._token = token
        self._socket = Socket(lambda text, at: None)

    async def connect(self, server: Server, book: Book) -> None:
        """At the end of the inbox as the book knows it. Raises OSError."""
        await self._socket.connect(server.host, server.port, "/v1/connect", self._token, DEAF_RECEIVE_BYTES)
        self._socket.stop_reading()
        hello = {"type": "hello", "cursor": book.head(self._of.user)}
        self._socket.send_text(json.dumps(hello).encode())

    async def close(self) -> None:
        await self._socket.close()


class World:
    """Fresh users and conversations; they stay on the server when the run is over."""

    def __init__(self, server: Server, connections: int) -> None:
        self.server = server
        self.http = Http(server.host, server.port, connections)
        self.run = f"load-{secrets.token_hex(4)}"
        self.devices: list[Device] = []
        self._deaf: list[DeafDevice] = []
        self.conversations: list[str] = []
        self.members: list[tuple[int, ...]] = []

    async def make(self, users: int, group_size: int, conversations: int) -> None:
        """`group_size` 2: direct conversations. Raises OSError, TimeoutError, RuntimeError."""
        self.devices = await _some_at_once(self._device, range(users))
        most = users * (users - 1) // 2 if group_size == 2 else conversations
        chosen: dict[tuple[int, ...], None] = {}
        while len(chosen) < min(conversations, most):
            chosen[tuple(sorted(random.sample(range(users), group_size)))] = None
            if group_size == users:
                break
        self.members = list(chosen)
        self.conversations = await _some_at_once(self._open, self.members)

    def user(self, number: int) -> str:
        return f"{self.run}-{number}"

    async def _device(self, number: int) -> Device:
        call = self.http.call("PUT", f"/v1/users/{self.user(number)}", self.server.admin_key, b"{}")
        await self._expect(call)
        return Device(number, await self._token(number, "load"))

    async def _token(self, number: int, device: str) -> str:
        asked = json.dumps({"user_id": self.user(number), "device_id": device}).encode()
        answer = await self._expect(self.http.call("POST", "/v1/tokens", self.server.admin_key, asked))
        token: str = json.loads(answer.body)["token"]
        return token

    async def _open(self, members: tuple[int, ...]) -> str:
        others = [self.user(number) for number in members[1:]]
        asked = (
            {"kind": "direct", "with": others[0]}
            if len(members) == 2
            else {"kind": "group", "members": others}
        )
        token = self.devices[members[0]].token
        call = self.http.call("POST", "/v1/conversations", token, json.dumps(asked).encode())
        conversation: str = json.loads((await self._expect(call)).body)["conversation_id"]
        return conversation

    async def _expect(self, call: Awaitable[Answer]) -> Answer:
        answer = await call
        if answer.status not in (200, 201):
            raise RuntimeError(f"the server answered {answer.status}: {answer.body.decode()}")
        return answer

    async def connect(self, book: Book) -> None:
        """Every device online. Raises OSError, TimeoutError."""
        await _some_at_once(lambda device: device.connect(self.server, book), self.devices)

    async def keep_connected(self, book: Book) -> None:
        """Until cancelled: devices that were closed come back with their cursor, and are counted."""
        while True:
            for device in self.devices:
                if device.close_code is None:
                    continue
                book.errors[f"socket closed {device.close_code}"] += 1
                if device.close_code in RECONNECT or device.close_code == 1006:
                    try:
                        await device.connect(self.server, book)
                    except (OSError, TimeoutError) as error:
                        book.errors[f"socket {type(error).__name__}"] += 1
            await asyncio.sleep(0.25)

    async def add_deaf(self, count: int, book: Book) -> None:
        """The first users get one more device each, which does not read. Raises OSError, RuntimeError."""
        for device in self.devices[:count]:
            deaf = DeafDevice(device, await self._token(device.user, "deaf"))
            await deaf.connect(self.server, book)
            self._deaf.append(deaf)

    async def closed_slow(self) -> int:
        """Sockets that the API closed as slow so far, by its own count."""
        answer = await self._expect(self.http.call("GET", "/metrics", self.server.admin_key))
        found = _slow.search(answer.body)
        return round(float(found.group(1))) if found else 0

    async def close(self) -> None:
        for device in self.devices:
            await device.close()
        for deaf in self._deaf:
            await deaf.close()
        await self.http.close()


class Traffic:
    """One message after the other, from random members of random conversations."""

    def __init__(self, world: World, book: Book, via: str, text_bytes: int) -> None:
        self._world = world
        self._book = book
        self._via = via
        self._text = "x" * text_bytes

    async def send(self, due_at: float) -> None:
        """Send one message that is due at this moment, and enter in the book how it ended."""
        conversation = random.randrange(len(self._world.conversations))
        sender = random.choice(self._world.members[conversation])
        number, client_message_id = self._book.begin(conversation, sender, due_at)
        message = (
            f'{{"conversation_id":"{self._world.conversations[conversation]}","client_message_id":'
            f'"{client_message_id}","kind":"text","body":{{"text":"{self._text}"}}}}'
        ).encode()
        fault = await self._answer(self._world.devices[sender], number, message)
        if fault is None:
            self._book.answered(number)
        else:
            self._book.failed(number, fault)

    async def _answer(self, device: Device, number: int, message: bytes) -> str | None:
        if self._via == "ws":
            return await device.send(number, message)
        try:
            answer = await self._world.http.call("POST", "/v1/messages", device.token, message)
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        return None if answer.status in (200, 201) else f"status {answer.status}"

    async def open_loop(self, rate: float, seconds: float) -> None:
        """So many a second, whether or not earlier ones are answered; returns when all are."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as sends:
            for number in range(round(rate * seconds)):
                due_at = began + number / rate
                await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
                sends.create_task(self.send(min(due_at, time.perf_counter())))

    async def closed_loop(self, in_flight: int, seconds: float) -> None:
        """So many at any time, each after the answer of the one before."""
        end = time.perf_counter() + seconds

        async def one_after_another() -> None:
            while (now := time.perf_counter()) < end:
                await self.send(now)

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))


async def _some_at_once(work: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
    """The results, in the order of the items."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Result:
        async with slots:
            return await work(item)

    return list(await asyncio.gather(*map(one, items)))
