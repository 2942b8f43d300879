"""The frames of one device, handled one after the other, so that its sends keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from api.gateway.frames import Close
from api.gateway.hub import Hub
from api.gateway.session import Session
from api.socket import SocketProtocol
from infra.telemetry.logs import logger


@dataclass(eq=False, repr=False, slots=True)
class Connection:
    """Hears what a socket tells. There is a task only while frames are handled."""

    session: Session
    _socket: SocketProtocol
    _hub: Hub
    _handle: Callable[[Session, bytes | None], Awaitable[None]]
    _frames: list[bytes | None] = field(default_factory=list)
    _opening: bool = True
    _working: asyncio.Task[None] | None = None

    def opened(self) -> None:
        """The device is welcome: handle what it said meanwhile, and what it says from now on."""
        self._opening = False
        self._work()

    def received(self, frame: bytes | None) -> None:
        """A text, or None for a binary frame. While frames wait, the socket reads no further."""
        self._frames.append(frame)
        if self._opening or self._working is not None:
            self._socket.hold()
        else:
            self._work()

    def pause(self) -> None:
        self.session.pause()

    def resume(self) -> None:
        self.session.resume()

    def ended(self) -> None:
        """The socket is closed. What the device said before is still done."""
        self.session.ended()
        self._hub.leave(self.session)

    def _work(self) -> None:
        if self._frames:
            self._working = asyncio.create_task(self._handle_all())
            self._socket.tasks.add(self._working)  # a server that stops waits for it
            self._working.add_done_callback(self._socket.tasks.discard)
        else:
            self._socket.release()

    async def _handle_all(self) -> None:
        try:
            while self._frames:
                await self._handle(self.session, self._frames.pop(0))
        except Exception:
            logger().exception("frame failed", user=self.session.device.user_id)
            self.session.close(Close.GOING_AWAY)
        finally:
            self._working = None
            self._socket.release()
