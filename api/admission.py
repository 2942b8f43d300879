"""Limits connections to the file descriptors of the process. It answers and counts those beyond the limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from api.connection import HttpProtocol
from api.contract import error_response
from domain.errors import Overloaded
from infra.telemetry.logs import logger
from infra.telemetry.names import REFUSED

REFUSED_AT_ONCE = 32
"""The most connections beyond the limit at a time. One more, and the oldest is closed without an answer."""

ADMIN_CONNECTIONS = 32
"""The most connections to the admin port."""

ANSWERED_WITHIN_S = 10.0
LOGGED_EVERY_S = 60.0
BEYOND = "beyond"


class Refusals:
    """What one server refuses: counted, and logged once a minute. Holds the connections to be answered so."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: dict[AdmittingProtocol, None] = {}
        self._refused = 0
        self._logged_at = float("-inf")

    def hold(self, connection: AdmittingProtocol) -> None:
        """Make room for it first: whoever comes last is answered, however many are silent."""
        if len(self._held) >= REFUSED_AT_ONCE:
            oldest = next(iter(self._held))
            self.release(oldest)
            oldest.transport.abort()
            self.add("connection")
        self._held[connection] = None

    def release(self, connection: AdmittingProtocol) -> None:
        self._held.pop(connection, None)

    def add(self, kind: str) -> None:
        REFUSED.labels(kind).inc()
        self._refused += 1
        if time.monotonic() - self._logged_at > LOGGED_EVERY_S:
            self._logged_at = time.monotonic()
            logger().warning(
                "connections refused: raise the hard limit of open files",
                refused=self._refused,
                connections=self.most,
            )


class AdmittingProtocol(HttpProtocol):
    """Marks requests over a connection beyond the limit. `Admission` refuses them and closes the connection.

    A mark stays until the connection ends. A refused client must connect again.
    """

    def __init__(self, refusals: Refusals, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refusals = refusals

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._refusals.most:
            self.app_state = {**self.app_state, BEYOND: self._refusals}
            self._refusals.hold(self)
            self.loop.call_later(ANSWERED_WITHIN_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refusals.release(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._refusals.release(self)  # from now on another protocol has the connection
        super().handle_websocket_upgrade()


class Admission:
    """Answers 503 `overloaded` over a connection beyond the limit, except to operators.

    The paths of operators begin with one of `for_operators`. In both cases the connection is closed then.
    """

    def __init__(self, app: Any, for_operators: Sequence[str]) -> None:
        self._app = app
        self._for_operators = tuple(for_operators)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refusals = scope.get("state", {}).get(BEYOND)
        if refusals is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(self._for_operators):
            await self._app(scope, receive, _closing(send))
        else:
            refusals.add("socket" if scope["type"] == "websocket" else "request")
            refused = Overloaded("This process has no room for another connection.")
            await error_response(refused)(scope, receive, _closing(send))


def _closing(send: Any) -> Any:
    """Closes the connection after this answer."""

    async def closing(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await send(message)

    return closing
