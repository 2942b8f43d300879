"""One WebSocket: uvicorn's protocol, with our close codes, and without an application while it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.connection import READ_S
from api.gateway.frames import Close
from infra.telemetry.names import CLOSED

ABORT_S = 3.0
STUCK_S = 30.0
"""So long a device that does not read has time to read what it was sent, and the close code behind it."""

SOCKET = "ringpost.socket"
"""The extension of a scope by which an application finds the protocol."""


class Listener(Protocol):
    """Whoever takes a socket over."""

    def received(self, frame: bytes | None) -> None:
        """A text, or None for a binary frame."""

    def pause(self) -> None:
        """The socket takes no more bytes for now."""

    def resume(self) -> None:
        """It does again."""

    def ended(self) -> None:
        """The socket is closed, by whomever. It may be told several times."""


class _Told:
    """Stands where uvicorn has a queue for the application: the only news that is left is the end."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def put_nowait(self, _: Any) -> None:
        self._listener.ended()


class SocketProtocol(WebSocketsSansIOProtocol):
    """Closes a socket with our codes. It does not wait for a device that does not read.

    The application takes or refuses a socket within `handshake_s`. Then the connection ends. An application
    that returns after `take_over` leaves the socket to a listener: an idle socket has no task.
    """

    def __init__(self, *args: Any, handshake_s: float = READ_S, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handshake_s = handshake_s
        self._deadline: asyncio.TimerHandle | None = None
        self._listener: Listener | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self._handshake_s, self._give_up_handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # the first bytes are the whole head, and were not understood
            self.transport.abort()

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[SOCKET] = self

    def _await_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up_handshake(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()

    async def run_asgi(self) -> None:
        """As uvicorn's, but a socket that was taken over stays when the application returns."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        else:
            if self._listener is not None:
                self.scope = {}  # type: ignore[typeddict-item]
                return
            if not self.handshake_complete:
                self.logger.error("ASGI callable returned without completing handshake.")
                self.send_500_response()
        if self.close_timer is None:
            self.transport.close()

    def take_over(self, listener: Listener) -> None:
        """From now on the listener is told all that happens, and the application nothing."""
        self._await_nothing()
        self._listener = listener
        waiting, self.queue = self.queue, _Told(listener)  # type: ignore[assignment]
        while not waiting.empty():
            message: Any = waiting.get_nowait()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                listener.received(None if text is None else text.encode())
            else:
                listener.ended()
        if not self.writable.is_set():
            listener.pause()

    def send_receive_event_to_app(self) -> None:
        if self._listener is None:
            super().send_receive_event_to_app()
            return
        frame, self.frames = b"".join(self.frames), []
        if not self.close_sent:
            self._listener.received(frame if self.curr_msg_data_type == "text" else None)

    def hold(self) -> None:
        """Read nothing more until `release`."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def release(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._listener is not None:
            self._listener.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._listener is not None:
            self._listener.resume()

    def write(self, frames: Sequence[bytes]) -> None:
        """Send texts in one write. Ignored once the socket is closed."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(b"".join([part for frame in frames for part in (_head(len(frame)), frame)]))

    def close(self, code: Close) -> None:
        """Close with this code, and wait for the device to do the same.

        If the device does not read, the code stands behind what it has not read, and it has `STUCK_S`.
        """
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self._send_close(code)
        self.release()
        if self.writable.is_set():
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        else:
            self.close_timer = self.loop.call_later(STUCK_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close" and not self.writable.is_set():
            self.writable.set()
            self.loop.call_later(ABORT_S, self.transport.abort)
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # uvicorn would log an answer by HTTP as a fault

    def keepalive_timeout(self) -> None:
        if not self.close_sent and not self.transport.is_closing():  # or it was counted under another code
            CLOSED.labels(str(int(Close.HEARTBEAT_MISSED))).inc()
        self._end(Close.HEARTBEAT_MISSED)

    def shutdown(self) -> None:
        self._end(Close.GOING_AWAY)

    def _end(self, code: Close) -> None:
        self.stop_keepalive()
        if not self.close_sent and self.handshake_complete and not self.transport.is_closing():
            self._send_close(code)
        self.transport.close()
        self.loop.call_later(ABORT_S, self.transport.abort)

    def _send_close(self, code: Close) -> None:
        self.conn.send_close(code, code.reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code)})


def _head(size: int) -> bytes:
    """What stands before a text of so many bytes: one frame, not masked (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")
