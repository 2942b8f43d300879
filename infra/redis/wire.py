"""One connection to Redis that many callers share."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

Command = tuple[str | bytes | int | float, ...]
"""The name of a command, and its arguments."""

LOOKS = 5
"""How often a wire looks for news within the time that the server may be silent."""

_NOTHING = object()
_ERRORS = {
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
    "WRONGPASS": AuthenticationError,
}


def _error(text: str) -> Exception:
    return _ERRORS.get(text.partition(" ")[0], ResponseError)(text)


class _Call(NamedTuple):
    """Commands whose replies one caller awaits."""

    wanted: int
    size_bytes: int
    replies: list[Any]
    answer: asyncio.Future[list[Any]]


class Wire(asyncio.Protocol):
    """Sends the commands of one turn of the event loop in one write. Redis replies in their order.

    The wire ends when the server closes it, or has open commands and says nothing for `silent_s`. Then every
    open call fails, and `on_end` is told.
    """

    def __init__(self, silent_s: float, on_end: Callable[[Wire, Exception], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look_s = silent_s / LOOKS
        self._on_end = on_end
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_NOTHING)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._calls: deque[_Call] = deque()
        self._look: asyncio.TimerHandle | None = None
        self._silent_looks = 0
        self._ended: Exception | None = None
        self.open_bytes = 0
        """Bytes of commands that are not answered yet."""

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies in order; an error reply is an exception in the list.

        Raises ConnectionError or TimeoutError if the wire ends before. The commands may have been run.
        """
        if self._ended is not None:
            raise self._ended
        if not self._unsent:
            self._loop.call_soon(self._flush)
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]
        call = _Call(len(packed), sum(map(len, packed)), [], self._loop.create_future())
        if not self._calls:
            self._silent_looks = 0
        self._unsent += packed
        self._calls.append(call)
        self.open_bytes += call.size_bytes
        if self._look is None:
            self._look = self._loop.call_later(self._look_s, self._look_for_news)
        return await call.answer

    def end(self, error: Exception) -> None:
        """Fail every open call with the error and close the connection. Later calls change nothing."""
        if self._ended is not None:
            return
        self._ended = error
        if self._look is not None:
            self._look.cancel()
        if self._transport is not None:
            self._transport.abort()
        for call in self._calls:
            if not call.answer.done():
                call.answer.set_exception(error)
                call.answer.exception()  # seen, if nobody awaits it any more
        self._calls.clear()
        self._unsent.clear()
        self._on_end(self, error)

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _look_for_news(self) -> None:
        """Looks are counted, not seconds, so a process that was stopped does not blame the server."""
        self._look = None
        if not self._calls:
            return
        self._silent_looks += 1
        if self._silent_looks >= LOOKS:
            self.end(TimeoutError("Redis has been silent for too long"))
            return
        self._look = self._loop.call_later(self._look_s, self._look_for_news)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._silent_looks = 0
        self._reader.feed(data)
        try:
            while self._calls and (reply := self._reader.gets()) is not _NOTHING:
                call = self._calls[0]
                call.replies.append(reply)
                if len(call.replies) == call.wanted:
                    self._calls.popleft()
                    self.open_bytes -= call.size_bytes
                    if not call.answer.done():  # else its caller went away
                        call.answer.set_result(call.replies)
        except hiredis.ProtocolError:
            self.end(ConnectionError("what answers is no Redis"))

    def connection_lost(self, error: Exception | None) -> None:
        self.end(ConnectionError("the server closed the connection"))
