"""The doors for operators: `/metrics`, `/health/live`, `/health/ready`. The same in every process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import RingpostError

Check = Callable[[], Awaitable[Any]]
CHECK_DEADLINE_S = 3.0
REMEMBERED_S = 1.0


class Health:
    """Asks all parts at once whether they answer; remembers the result for a second.

    `alive` are those that say, without waiting, whether the process is still good for anything.
    """

    def __init__(
        self, checks: Mapping[str, Check], alive: Mapping[str, Callable[[], str]] | None = None
    ) -> None:
        self._checks = checks
        self._alive = alive or {}
        self._asked_at = float("-inf")
        self._result: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def parts(self) -> dict[str, str]:
        """Part → `ok`, or a sentence that says what is wrong."""
        async with self._asking:
            if time.monotonic() - self._asked_at > REMEMBERED_S:
                said = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
                self._result = dict(zip(self._checks, said, strict=True))
                self._asked_at = time.monotonic()
            return self._result

    def alive(self) -> dict[str, str]:
        """Part → `ok`, or a sentence that says why the process should be started again."""
        return {name: said() for name, said in self._alive.items()}

    async def _ask(self, check: Check) -> str:
        try:
            await asyncio.wait_for(check(), CHECK_DEADLINE_S)
        except TimeoutError:
            return "does not answer in time"
        except RingpostError as error:
            return error.message
        return "ok"


def status_routes(health: Health) -> list[Route]:
    """Routes to be mounted in any ASGI application."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def live(_: Request) -> Response:
        return _said(health.alive())

    async def ready(_: Request) -> Response:
        return _said(await health.parts())

    return [Route("/metrics", metrics), Route("/health/live", live), Route("/health/ready", ready)]


def _said(parts: Mapping[str, str]) -> Response:
    """200, or 503 with what is wrong."""
    missing = [name for name, said in parts.items() if said != "ok"]
    status = "missing: " + ", ".join(missing) if missing else "ok"
    body = msgspec.json.encode({"status": status, "parts": parts})
    return Response(body, 503 if missing else 200, media_type="application/json")
