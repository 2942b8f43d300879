"""WebSockets of many devices in one thread, at the least cost to the machine that is measured.

A device has no task, future or parser of its own. One wait tells which sockets have something, and the clock
is read once for all of it. Frames are searched for the few bytes that matter; only rare ones are parsed.
"""

from __future__ import annotations

import base64
import json
import math
import secrets
import select
import socket
import time
from typing import Any, NamedTuple

from benchmarks.book import DIGITS, Book

READ_BYTES = 32_768
SENT = b'{"type":"sent","ref":'
ENTRIES = b'{"type":"entries"'
ENTRY = b'{"seq":'
TEXT, CLOSE, PING = 0x81, 0x88, 0x89
IN, OUT = 1, 4
"""What a socket can be ready for, as `poll` and `epoll` name it."""
ABNORMAL = 1006
RECONNECT = range(4000, 4500)
DEAF_RECEIVE_BYTES = 4_096


class Server(NamedTuple):
    host: str
    port: int
    admin_key: str


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole frame. The mask that RFC 6455 demands is four zero bytes: valid, and free."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Sockets:
    """All sockets of a run, and the wait for any of them."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = self._epoll or select.poll()
        self._devices: dict[int, Device] = {}
        self.lost: list[Device] = []
        """Devices whose connection has ended since somebody emptied this list."""
        self.at_goal: list[float] = []
        """When devices reached their `goal`."""

    def watch(self, device: Device, events: int) -> None:
        """Wait for these events of the device's socket from now on; none: forget it."""
        file = device.socket.fileno()
        if not events:
            if self._devices.pop(file, None) is not None:
                self._poll.unregister(file)
        elif file in self._devices:
            self._poll.modify(file, events)
        else:
            self._poll.register(file, events)
            self._devices[file] = device

    def turn(self, wait_s: float, exact: bool = False) -> None:
        """Handle what has arrived, or what arrives first within this time.

        An exact wait ends to a tenth of a millisecond where the system has `epoll`. It costs more.
        """
        if self._epoll is None:
            events = self._poll.poll(math.ceil(wait_s * 1000))
        elif exact and wait_s > 0:
            select.select([self._epoll], [], [], wait_s)
            events = self._epoll.poll(0)
        else:
            events = self._epoll.poll(wait_s)
        now = time.perf_counter()
        devices = self._devices
        for file, ready in events:
            device = devices.get(file)
            if device is None:
                continue
            if ready != OUT:
                device.read(now)
            if ready & OUT:
                device.write()

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()


class Device:
    """A user's one device. It writes what happens to it into the book."""

    def __init__(self, sockets: Sockets, user: int, token: str) -> None:
        self.user = user
        self.token = token
        self.head = 0
        """The newest entry that it has."""
        self.goal = 0
        """The entry whose arrival the sockets note."""
        self.ready = False
        """Whether the server has welcomed it."""
        self.close_code: int | None = ABNORMAL
        """None while connected or connecting."""
        self._sockets = sockets
        self._book = Book("nothing", ())
        self._opening = False
        self._rest = b""
        self._unsent = bytearray()

    def connect(self, server: Server, book: Book, deaf: bool = False) -> None:
        """Begin to connect, right after the newest entry. A deaf device says hello and never reads again."""
        family, kind, _, _, address = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0]
        self.socket = socket.socket(family, kind)
        if deaf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_RECEIVE_BYTES)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._book, self._deaf = book, deaf
        self._opening, self._rest, self.close_code, self.ready = True, b"", None, False
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._unsent[:] = (
            f"GET /v1/connect HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
            f"Authorization: Bearer {self.token}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        ).encode()
        self.socket.connect_ex(address)
        self._sockets.watch(self, IN | OUT)

    def send(self, frame: bytes) -> None:
        """What the socket does not take at once follows when it does."""
        if self._unsent:
            self._unsent += frame
            return
        try:
            taken = self.socket.send(frame)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._end(ABNORMAL)
            return
        if taken < len(frame):
            self._unsent += frame[taken:]
            self._sockets.watch(self, IN | OUT)

    def write(self) -> None:
        """The socket takes more."""
        waiting = bytes(self._unsent)
        self._unsent.clear()
        if self.close_code is None:
            self._sockets.watch(self, IN)
            self.send(waiting)

    def read(self, now: float) -> None:
        """Something has arrived."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(ABNORMAL)
            return
        if self._rest:
            data = self._rest + data
        if self._opening and not (data := self._opened(data)):
            return
        self._frames(data, now)

    def _frames(self, data: bytes, now: float) -> None:
        """Handle each whole frame, and keep the rest."""
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length > 125:
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
            end = start + length
            if end > size:
                break
            if data[at] != TEXT:
                self._control(data[at], data[start:end])
            elif data.startswith(ENTRIES, start):
                self._entries(data, start, end, now)
            elif data.startswith(SENT, start):
                ref = start + len(SENT)
                self._book.answered(int(data[ref : ref + DIGITS]), now)
            else:
                self._rare(json.loads(data[start:end]), now)
            at = end
        self._rest = data[at:]

    def _opened(self, data: bytes) -> bytes:
        """What follows the answer to the opening. Says hello once that is complete."""
        head, complete, rest = data.partition(b"\r\n\r\n")
        if not complete:
            self._rest = data
            return b""
        self._opening, self._rest = False, b""
        if head[9:12] != b"101":
            self._book.errors[f"no WebSocket: status {head[9:12].decode(errors='replace')}"] += 1
            self._end(ABNORMAL)
            return b""
        self.send(client_frame(b'{"type":"hello","cursor":%d}' % self.head))
        if self._deaf:
            self._sockets.watch(self, 0)
        return rest

    def _entries(self, data: bytes, at: int, end: int, now: float) -> None:
        """In JSON text quotes are escaped, so what is searched for stands in no message."""
        book, mark = self._book, self._book.mark
        at = data.find(ENTRY, at, end)
        while at >= 0:
            comma = data.find(b",", at, end)
            seq = int(data[at + len(ENTRY) : comma])
            at = data.find(ENTRY, comma, end)
            named = data.find(mark, comma, end if at < 0 else at)
            if seq != self.head + 1:
                book.out_of_order += 1
            if seq > self.head:
                self.head = seq
            if seq == self.goal:
                self._sockets.at_goal.append(now)
            if named >= 0:
                named += len(mark)
                book.arrived(int(data[named : named + DIGITS]), self.user, now)

    def _rare(self, frame: dict[str, Any], now: float) -> None:
        kind, ref = frame.get("type"), frame.get("ref")
        if kind == "welcome":
            self.ready = True
        elif kind == "sent" and ref is not None:
            self._book.answered(ref, now)
        elif kind == "error":
            code = frame["error"]["code"]
            if ref is None:
                self._book.errors[f"socket: {code}"] += 1
            else:
                says_when = bool(frame.get("retry_after_s") or frame["error"].get("retry_after_s"))
                self._book.failed(ref, code, says_when)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.send(client_frame(payload, 0x8A))
        elif opcode == CLOSE:
            self._end(int.from_bytes(payload[:2], "big") if payload else 1005)

    def close(self) -> None:
        """Say goodbye, and be gone."""
        if self.close_code is None:
            if not self._opening and not self._unsent:
                self.send(client_frame((1000).to_bytes(2, "big"), CLOSE))
            self._end(1000)

    def _end(self, code: int) -> None:
        if self.close_code is not None:
            return
        self.close_code, self.ready = code, False
        self._sockets.watch(self, 0)
        self.socket.close()
        if code != 1000:
            self._book.disconnected(self.user)
            self._sockets.lost.append(self)
