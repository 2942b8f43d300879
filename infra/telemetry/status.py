"""The paths for operators: `/metrics`, `/health/live`, `/health/ready`. Every process has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import RingpostError
from infra.telemetry.duties import DUTIES, ENGINES
from infra.telemetry.names import DEGRADED, READY

Check = Callable[[], Awaitable[Any]]
CHECK_DEADLINE_S = 3.0
REMEMBERED_S = 1.0


class State(NamedTuple):
    """`checks`: name → `ok`, or a sentence that says what is wrong. `degraded`: what parts go on without."""

    ready: bool
    checks: dict[str, str]
    degraded: list[str]

    @property
    def missing(self) -> list[str]:
        return [name for name, said in self.checks.items() if said != "ok"]


class Health:
    """Runs all checks at the same time. It remembers the result for a second.

    The process is ready while each of its `parts` can do its job (`DUTIES`), and every check that is not
    of an engine is good. `alive` are those that say, without waiting, whether the process is still good
    for anything.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        alive: Mapping[str, Callable[[], str]] | None = None,
        parts: Collection[str] = (),
    ) -> None:
        self._checks = checks
        self._alive = alive or {}
        self._parts = parts
        self._asked_at = float("-inf")
        self._state = State(False, {}, [])
        self._asking = asyncio.Lock()

    async def state(self) -> State:
        """How the process is; also shown by its gauges."""
        async with self._asking:
            if time.monotonic() - self._asked_at > REMEMBERED_S:
                said = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
                self._state = self._judged(dict(zip(self._checks, said, strict=True)))
                self._asked_at = time.monotonic()
            return self._state

    def alive(self) -> dict[str, str]:
        """Check → `ok`, or a sentence that says why the process must be started again."""
        return {name: said() for name, said in self._alive.items()}

    def _judged(self, checks: dict[str, str]) -> State:
        answering = {name for name, said in checks.items() if said == "ok"}
        engines = ENGINES if self._parts else ()
        ready = all(name in answering for name in checks if name not in engines)
        degraded = []
        for part in self._parts:
            able = DUTIES[part].is_done_with(answering)
            ready = ready and able
            READY.labels(part).set(able and checks.get(part, "ok") == "ok")
            for engine, effect in DUTIES[part].without.items():
                DEGRADED.labels(part, engine).set(engine not in answering)
                if able and engine not in answering:
                    degraded.append(f"{part} without {engine}: {effect}")
        return State(ready, checks, degraded)

    async def _ask(self, check: Check) -> str:
        try:
            await asyncio.wait_for(check(), CHECK_DEADLINE_S)
        except TimeoutError:
            return "does not answer in time"
        except RingpostError as error:
            return error.message
        return "ok"


def status_routes(health: Health, *, with_metrics: bool = True) -> list[Route]:
    """Routes for any ASGI application."""

    async def metrics(_: Request) -> Response:
        await health.state()  # it sets gauges
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def live(_: Request) -> Response:
        alive = health.alive()
        return _answer(State(all(said == "ok" for said in alive.values()), alive, []))

    async def ready(_: Request) -> Response:
        return _answer(await health.state())

    routes = [Route("/health/live", live), Route("/health/ready", ready)]
    return [Route("/metrics", metrics), *routes] if with_metrics else routes


def _answer(state: State) -> Response:
    """200, or 503 with what is wrong."""
    status = "degraded: " if state.ready else "missing: "
    body = {
        "status": status + ", ".join(state.missing) if state.missing else "ok",
        "parts": state.checks,
        "reasons": state.degraded,
    }
    return Response(msgspec.json.encode(body), 200 if state.ready else 503, media_type="application/json")
