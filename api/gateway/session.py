"""One device's connection: what it got, what waits for it, and when it is too slow."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from api.gateway.frames import REASONS, Close, entries_frame, frame
from api.sync import Sync
from domain.devices import Device
from domain.entries import Entry
from domain.errors import RingpostError
from infra.retry import backoff_s
from infra.telemetry.logs import logger
from infra.telemetry.names import CLOSED, SOCKET_ENTRIES

PAGE = 100
FRAME_BYTES = 262_144
SEND_DEADLINE_S = 30.0
FLUSH_S = 1.0


class Session:
    """Sends each entry after the cursor once, in order of its number.

    A live entry goes out if it follows the last one that was sent. If one is missing, and at the start, the
    session catches up by pulling. It ignores live entries meanwhile: they are in the inbox before they are
    pushed (I2), so the pull brings them. More than `queue_bytes` of unsent live entries close the socket as
    slow. Catching up goes as fast as the device reads.
    """

    def __init__(
        self,
        device: Device,
        sync: Sync,
        write: Callable[[str], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
        queue_bytes: int,
    ) -> None:
        self.session_id = secrets.token_hex(8)
        self.device = device
        self.sent = 0
        self._sync = sync
        self._write = write
        self._close = close
        self._queue_bytes = queue_bytes
        self._frames: deque[str] = deque()
        self._entries: list[Entry] = []
        self._waiting_bytes = 0
        self._pulled_bytes = 0
        self._seen = 0
        self._started = False
        self._catching: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._closing: Close | None = None
        self._closed_slow: asyncio.Task[None] | None = None

    def start(self, cursor: int, head: int) -> None:
        """Begin right after the cursor."""
        self._started = True
        self.sent = cursor
        self.check(head)

    def arrived(self, entry: Entry) -> None:
        """A live entry. Ignored if it was sent already."""
        if self._catching is not None or not self._started:
            self._seen = max(self._seen, entry.seq)
        elif entry.seq == self.sent + 1:
            self._queue(entry)
            if self._waiting_bytes > max(self._queue_bytes, len(entry.message)):
                self.close(Close.SLOW)
        elif entry.seq > self.sent:
            self.check(entry.seq)

    def check(self, head: int) -> None:
        """The inbox reaches to this head. Pull if something is missing."""
        self._seen = max(self._seen, head)
        if self._started and self._seen > self.sent and self._catching is None and self._closing is None:
            self._catching = asyncio.create_task(self._pull_all())

    def put(self, text: str) -> None:
        """Queue a frame that is no entry, behind those that wait already."""
        self._flush_entries()
        self._frames.append(text)
        self._waiting_bytes += len(text)
        self._wake.set()
        if self._waiting_bytes > 2 * self._queue_bytes + self._pulled_bytes:
            self.close(Close.SLOW)

    def close(self, code: Close) -> None:
        """End the connection. If it is called again, the first reason stands.

        Waiting frames are still sent, within `FLUSH_S`. A slow device does not get them.
        """
        if self._closing is None:
            self._closing = code
            CLOSED.labels(str(int(code))).inc()
            self._wake.set()
            if code == Close.SLOW:  # the writer may be stuck in the socket
                self._closed_slow = asyncio.create_task(self._end(code))

    def heartbeat(self, head: int) -> None:
        """Send the head, and find by it what a lost push left out."""
        self.put(frame("heartbeat", head=head))
        self.check(head)

    async def run_writer(self) -> None:
        """Write frames until closed. Raises what the socket raises when the device is gone."""
        try:
            while self._closing is None:
                await self._wake.wait()
                self._wake.clear()
                await self._write_waiting()
            if self._closing != Close.SLOW:
                with suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_S):
                        await self._write_waiting()
                await self._end(self._closing)
        finally:
            self._closing = self._closing or Close.GOING_AWAY
            if self._catching is not None:
                self._catching.cancel()

    async def _end(self, code: Close) -> None:
        await self._close(int(code), REASONS[code])

    async def _write_waiting(self) -> None:
        while (self._frames or self._entries) and self._closing != Close.SLOW:
            self._flush_entries()
            text = self._frames.popleft()
            try:
                async with asyncio.timeout(SEND_DEADLINE_S):
                    await self._write(text)
            except TimeoutError:
                self.close(Close.SLOW)
                return
            self._waiting_bytes -= len(text)
        self._drained.set()

    def _queue(self, entry: Entry) -> None:
        self.sent = entry.seq
        self._entries.append(entry)
        self._waiting_bytes += len(entry.message)
        self._drained.clear()
        self._wake.set()

    def _flush_entries(self) -> None:
        """Turn entries that wait into frames."""
        entries, self._entries = self._entries, []
        SOCKET_ENTRIES.inc(len(entries))
        some: list[Entry] = []
        size = 0
        for entry in entries:
            if some and size + len(entry.message) > FRAME_BYTES:
                self._append_entries(some, size)
                some, size = [], 0
            some.append(entry)
            size += len(entry.message)
        if some:
            self._append_entries(some, size)

    def _append_entries(self, entries: list[Entry], size: int) -> None:
        text = entries_frame(entries)
        self._waiting_bytes += len(text) - size
        self._frames.append(text)

    async def _written(self) -> None:
        """Returns when what was pulled is written."""
        await self._drained.wait()
        self._pulled_bytes = 0

    def _over(self) -> bool:
        """Whether to stop. Ask again after each wait."""
        return self._closing is not None

    async def _pull_all(self) -> None:
        """Pull page after page until nothing is missing. Each page waits until the one before is written."""
        waits = backoff_s()
        try:
            while self._seen > self.sent and not self._over():
                try:
                    page = await self._sync.pull(self.device.user_id, self.sent, PAGE)
                except RingpostError as error:
                    logger().warning(
                        "could not pull for a socket", user=self.device.user_id, error=error.message
                    )
                    await asyncio.sleep(next(waits))
                    continue
                self._seen = max(self._seen, page.head)
                for entry in page.entries:
                    if self._pulled_bytes and self._pulled_bytes + len(entry.message) > FRAME_BYTES:
                        await self._written()
                    if self._over():
                        return  # nobody writes any more; a library may have caught what cancelled us
                    self._pulled_bytes += len(entry.message)
                    self._queue(entry)
                if page.entries:
                    await self._written()
                else:
                    await asyncio.sleep(next(waits))
        finally:
            self._catching = None
