"""One HTTP connection: uvicorn's protocol, with bounds on the size of a head and on the time of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.errors import ErrorAnswer, error_body, status_of
from api.handshake import VERSION, check_handshake, speaks_our_version, values
from api.views import encode
from domain.errors import BadRequest, HeadTooLarge, RingpostError, TooSlow
from infra.telemetry.names import REQUESTS

MOST_LINE_BYTES = 16_384
MOST_HEADER_BYTES = 32_768
MOST_HEADERS = 100
READ_S = 30.0
"""Seconds within which the head of a request must be complete, and then its body."""
"""The application has as long to take or refuse a WebSocket."""

LINGER_S = 1.0
STEP_BYTES = 16_384
NO_ROUTE = "(none)"


class HttpProtocol(HttpToolsProtocol):
    """Answers a request that breaks a bound with an error, and closes the connection.

    It serves every `Upgrade` except that to a WebSocket as plain HTTP/1.1, with its body (RFC 9110, 7.8).
    """

    def __init__(self, *args: Any, read_s: float = READ_S, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_s = read_s
        self._deadline: asyncio.TimerHandle | None = None
        self._began = False
        self._in_body = False
        self._header_bytes = 0
        self._unclaimed_bytes = 0  # received, and no part yet of a header or a body that the parser told
        self._over = False  # nothing more is read here
        self._refusal_status: HTTPStatus | None = None  # where it is not that of the error

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for at in range(0, len(data), STEP_BYTES):
            if self._over or self.transport.is_closing():
                return
            self._step(data[at : at + STEP_BYTES])
        if self._over:
            return
        if self._deadline is None and not self._answering and self.timeout_keep_alive_task is None:
            self._await_more()  # empty lines before a request do not keep a connection

    def _step(self, data: bytes) -> None:
        self._unclaimed_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            raised = error.__context__  # by a callback: the parser ends with an error of its own then
            if not isinstance(raised, RingpostError):
                raised = BadRequest("This is not an HTTP request.")
            self._refuse(raised)
            return
        if self._unclaimed_bytes > MOST_HEADER_BYTES:
            self._refuse(_too_large())

    @property
    def _answering(self) -> RequestResponseCycle | None:
        """The request whose answer is not complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self._await_nothing()
                    self._over = True
                    self.handle_websocket_upgrade()
                    return
                # The parser has skipped the body: it reads the request again, without the header.
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _should_upgrade(self) -> bool:
        """Whether this is the opening of a WebSocket (RFC 6455, 4.1), which has no body."""
        return (
            self.parser.get_method() == b"GET"
            and _words(self.headers, b"upgrade") == [b"websocket"]
            and b"upgrade" in _words(self.headers, b"connection")
        )

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began, self._in_body = True, False
        self._header_bytes = 0
        if self._deadline is None:
            self._await_more()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._unclaimed_bytes = 0
        if len(self.url) > MOST_LINE_BYTES:
            raise HeadTooLarge(f"The path and query of a request may have {MOST_LINE_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._unclaimed_bytes = 0
        self._header_bytes += len(name) + len(value) + len(b": \r\n")
        if self._header_bytes > MOST_HEADER_BYTES or len(self.headers) > MOST_HEADERS:
            raise _too_large()

    def on_headers_complete(self) -> None:
        self._await_nothing()
        if self.parser.get_method() == b"CONNECT":
            raise BadRequest("CONNECT is not served here.")
        self._check_framing()
        if not self.parser.should_upgrade():
            self._await_more()
            super().on_headers_complete()
            self._in_body = True
        elif self._should_upgrade():
            self._check_handshake()
            super().on_headers_complete()

    def _check_framing(self) -> None:
        """Whom a request is for, and where it ends, are said once (RFC 9112, 3.2 and 6.1)."""
        hosts = len(values(self.headers, b"host"))
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise BadRequest("A request names its host once, in the header Host.")
        if _words(self.headers, b"transfer-encoding") not in ([], [b"chunked"]):
            raise BadRequest("The only transfer coding that is served here is chunked.")

    def _check_handshake(self) -> None:
        check_handshake(self.url, self.headers)
        if not speaks_our_version(self.headers):
            self._refusal_status = HTTPStatus.UPGRADE_REQUIRED
            raise BadRequest(f"Sec-WebSocket-Version must be given once: {VERSION.decode()}.")

    def on_body(self, body: bytes) -> None:
        self._unclaimed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._unclaimed_bytes = 0
            self._await_nothing()
            self._began = self._in_body = False
            super().on_message_complete()

    def _await_more(self) -> None:
        self._deadline = self.loop.call_later(self._read_s, self._too_slow)

    def _await_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self._began:
            self.transport.close()
        else:
            self._refuse(TooSlow(f"The request was not complete within {self._read_s:g} s."))

    def _refuse(self, error: RingpostError) -> None:
        """Close the connection. An answer comes first, unless one has begun or an earlier request waits."""
        self._await_nothing()
        self._over = True
        cycle = self._answering
        unanswered = not self.cycle.response_started if self._in_body else cycle is None
        if unanswered and not self.pipeline:
            status = self._refusal_status or HTTPStatus(status_of(error))
            REQUESTS.labels(NO_ROUTE, str(status.value)).inc()
            self.transport.write(_answer(error, status))
            self.transport.write_eof()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        # Not at once: a close with unread bytes is a reset, which can overtake the answer.
        self.loop.call_later(LINGER_S, self.transport.close)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"A request may have {MOST_HEADERS} headers, and they may have {MOST_HEADER_BYTES} bytes together."
    )


def _words(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The members of a list header, over all its lines, in lower case."""
    members = b",".join(values(headers, name)).lower().split(b",")
    return [word for member in members if (word := member.strip())]


def _answer(error: RingpostError, status: HTTPStatus) -> bytes:
    body = encode(ErrorAnswer(error_body(error)))
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        "cache-control: no-store",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if status == HTTPStatus.UPGRADE_REQUIRED:
        lines += ["upgrade: websocket", f"sec-websocket-version: {VERSION.decode()}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
