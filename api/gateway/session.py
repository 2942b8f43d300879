"""One device's connection: what it got, what waits for it, and when it is too slow."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from api.gateway.frames import Close, entries_frame, heartbeat_frame
from api.sync import Sync
from domain.devices import Device
from domain.entries import Entry
from domain.errors import RingpostError
from infra.retry import backoff_s
from infra.telemetry.logs import logger
from infra.telemetry.names import CLOSED, SOCKET_ENTRIES

PAGE = 100
FRAME_BYTES = 262_144
WRITE_BYTES = 65_536
"""About as many bytes go to the socket before the session looks whether it takes more."""

OFFERED_BYTES = 65_536
"""With more unsent bytes than this, a session takes no frame that may be lost."""

SEND_DEADLINE_S = 30.0
FLUSH_S = 1.0

_CLOSED = {code: CLOSED.labels(str(int(code))) for code in Close}


class Socket(Protocol):
    """The socket calls `Session.pause` when it takes no more, and `Session.resume` when it does again."""

    def write(self, frames: Sequence[bytes]) -> None:
        """Send texts in one write. Ignored once the socket is closed."""

    def close(self, code: Close) -> None:
        """Close it with this code. Ignored if it is closed already."""


@dataclass(eq=False, repr=False, slots=True)
class Session:
    """Sends each entry after the cursor once, in order of its number.

    A live entry goes out if it follows the last one that was sent. If one is missing, and at the start, the
    session catches up by pulling. It ignores live entries meanwhile: they are in the inbox before they are
    pushed (I2), so the pull brings them. More than `queue_bytes` of unsent live entries close the socket as
    slow, and so do twice as many bytes of answers. Catching up goes as fast as the device reads, and what is
    pulled does not count.

    All that waits at the end of a turn of the event loop goes out in one write. An idle session has no task.
    """

    device: Device
    _sync: Sync
    _socket: Socket
    _queue_bytes: int
    session_id: str = field(default_factory=partial(secrets.token_hex, 8))
    sent: int = 0
    _frames: list[tuple[bytes, int]] = field(default_factory=list)  # each with its part of `_counted_bytes`
    _entries: list[Entry] = field(default_factory=list)
    _entries_bytes: int = 0  # their part of `_counted_bytes`
    _counted_bytes: int = 0
    _seen: int = 0
    _started: bool = False
    _scheduled: bool = False
    _paused: bool = False
    _stuck: asyncio.TimerHandle | None = None
    _catching: asyncio.Task[None] | None = None
    _drained: asyncio.Future[None] | None = None
    _closing: Close | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is sent."""
        return self._closing is not None

    def start(self, cursor: int, head: int, entries: Sequence[Entry] = ()) -> None:
        """Begin right after the cursor, with these entries. What is missing up to the head is pulled."""
        self._started = True
        self.sent = cursor
        size = 0
        for entry in entries:
            size += len(entry.message)
            if size > FRAME_BYTES and entry.seq > cursor + 1:
                break
            self._queue(entry)
        self.check(head)

    def arrived(self, entry: Entry) -> None:
        """A live entry. Ignored if it was sent already."""
        if self._catching is not None or not self._started:
            self._seen = max(self._seen, entry.seq)
        elif entry.seq == self.sent + 1:
            size = len(entry.message)
            self._entries_bytes += size
            self._counted_bytes += size
            self._queue(entry)
            if self._counted_bytes > max(self._queue_bytes, size):
                self.close(Close.SLOW)
        elif entry.seq > self.sent:
            self.check(entry.seq)

    def check(self, head: int) -> None:
        """The inbox reaches to this head. Pull if something is missing."""
        self._seen = max(self._seen, head)
        if self._started and self._seen > self.sent and self._catching is None and not self.over:
            self._catching = asyncio.create_task(self._pull_all())

    def put(self, frame: bytes) -> None:
        """Queue a frame that is no entry, behind those that wait already."""
        if self.over:
            return
        self._frame_entries()
        self._frames.append((frame, len(frame)))
        self._counted_bytes += len(frame)
        self._flush_soon()
        if self._counted_bytes > 2 * self._queue_bytes:
            self.close(Close.SLOW)

    def offer(self, frame: bytes) -> bool:
        """Queue a frame that may be lost. False: it was dropped, because the device is not welcome yet or is
        behind. Such a frame never makes a device too slow.
        """
        if not self._started or self._paused or self._counted_bytes > OFFERED_BYTES:
            return False
        self.put(frame)
        return True

    def heartbeat(self, head: int) -> None:
        """Send the head, and find by it what a lost push left out."""
        self.put(heartbeat_frame(head))
        self.check(head)

    def pause(self) -> None:
        """The socket takes no more. If this lasts for `SEND_DEADLINE_S`, the device is slow."""
        self._paused = True
        if self._stuck is None:
            self._stuck = asyncio.get_running_loop().call_later(SEND_DEADLINE_S, self.close, Close.SLOW)

    def resume(self) -> None:
        self._paused = False
        self._unstick()
        self._flush()
        if self._closing is not None:
            self._socket.close(self._closing)

    def close(self, code: Close) -> None:
        """End the connection. If it is called again, the first reason stands.

        Waiting frames are still sent, within `FLUSH_S`. A slow device does not get them.
        """
        if self._closing is not None:
            return
        self._closing = code
        _CLOSED[code].inc()
        self._await_nothing()
        if code != Close.SLOW:
            self._flush()
        if code == Close.SLOW or not self._paused:
            self._socket.close(code)
        else:
            asyncio.get_running_loop().call_later(FLUSH_S, self._socket.close, code)

    def ended(self) -> None:
        """The socket is gone."""
        self._closing = self._closing or Close.GOING_AWAY
        self._await_nothing()

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _await_nothing(self) -> None:
        self._unstick()
        if self._catching is not None:
            self._catching.cancel()

    def _queue(self, entry: Entry) -> None:
        self.sent = entry.seq
        self._entries.append(entry)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._scheduled and not self._paused:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write what waits, until the socket takes no more."""
        self._scheduled = False
        if self._closing == Close.SLOW:
            return
        while (self._frames or self._entries) and not self._paused:
            self._frame_entries()
            frames: list[bytes] = []
            size = 0
            for frame, counted in self._frames:
                frames.append(frame)
                size += len(frame)
                self._counted_bytes -= counted
                if size >= WRITE_BYTES:
                    break
            del self._frames[: len(frames)]
            self._socket.write(frames)
        if self._drained is not None and not self._frames and not self._entries:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def _frame_entries(self) -> None:
        """Turn entries that wait into frames."""
        entries = self._entries
        if not entries:
            return
        SOCKET_ENTRIES.inc(len(entries))
        first, size = 0, 0
        for at, entry in enumerate(entries):
            if at > first and size + len(entry.message) > FRAME_BYTES:
                self._frames.append((entries_frame(entries[first:at]), 0))
                first, size = at, 0
            size += len(entry.message)
        self._frames.append((entries_frame(entries[first:]), self._entries_bytes))
        self._entries = []
        self._entries_bytes = 0

    async def _written(self) -> None:
        """Returns when what was pulled is written."""
        if self._frames or self._entries:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    async def _pull_all(self) -> None:
        """Pull page after page until nothing is missing. Each page waits until the one before is written."""
        waits = backoff_s()
        pulled_bytes = 0
        try:
            while self._seen > self.sent and not self.over:
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
                    if pulled_bytes and pulled_bytes + len(entry.message) > FRAME_BYTES:
                        await self._written()
                        pulled_bytes = 0
                    if self._closing is not None:
                        return  # a library may have caught what cancelled us
                    pulled_bytes += len(entry.message)
                    self._queue(entry)
                if page.entries:
                    await self._written()
                    pulled_bytes = 0
                else:
                    await asyncio.sleep(next(waits))
        finally:
            self._catching = None
