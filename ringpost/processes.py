"""The processes of Ringpost, and what each runs until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

import consumers.wiring
import producers.wiring
from api.contract import http_error
from api.server import HttpService, bound_socket
from consumers.loop import Loop
from consumers.watchdog import Watchdog
from domain.errors import Unavailable
from infra.crash import arm
from infra.descriptors import raise_limit
from infra.kafka.lag import LagWatch
from infra.lifecycle import Service, run_services
from infra.reach import obstacles
from infra.retry import backoff_s
from infra.settings import Settings
from infra.tasks import ended
from infra.telemetry.duties import DUTIES, ENGINES
from infra.telemetry.logs import configure_logs, logger
from infra.telemetry.names import UP
from infra.telemetry.status import Health, status_routes
from producers.wiring import Clients, engine_checks, open_clients
from ringpost.running import http_url

WORKERS = ("inbox", "push", "relay")
START_DEADLINE_S = 120.0
Opening = Callable[[], AbstractAsyncContextManager[list[Service]]]


def run_api(settings: Settings, stage: bool = False) -> None:
    """Serve HTTP and WebSocket until SIGINT or SIGTERM. With `stage` also the page of `ringpost up`."""
    from api.wiring import api_services  # FastAPI is slow to import, and workers need none

    _prepare(settings, ["api"])
    http = settings.http
    with ExitStack() as sockets:
        bound = sockets.enter_context(bound_socket(http.host, http.port))
        admin = None
        if http.admin_port:
            admin = sockets.enter_context(
                bound_socket(http.admin_host, http.admin_port, "RINGPOST_HTTP_ADMIN_PORT")
            )
        uvloop.run(_run(settings, lambda: api_services(settings, bound, admin, stage), bound, ["api"]))


def run_workers(settings: Settings, names: list[str]) -> None:
    """Run these workers in this process until SIGINT or SIGTERM."""
    _prepare(settings, names)
    with bound_socket(settings.worker.host, settings.worker.port, "RINGPOST_WORKER_PORT") as bound:
        uvloop.run(_run(settings, lambda: _worker_services(settings, names, bound), bound, names))


def _prepare(settings: Settings, parts: Sequence[str]) -> None:
    settings.need_engines()
    configure_logs(settings.log, "+".join(parts))
    arm(settings.debug)
    raise_limit()


async def _run(settings: Settings, opening: Opening, bound: socket.socket, parts: Sequence[str]) -> None:
    """Open, run, close. It waits for engines that do not answer yet, up to a deadline."""
    saying = asyncio.create_task(_say_obstacles(settings))
    try:
        await _opened_and_run(opening, http_url(*bound.getsockname()[:2]), parts)
    except Unavailable as error:
        raise Unavailable(f"{error.message} {await obstacles(settings)}".rstrip()) from error
    finally:
        await ended([saying])


async def _say_obstacles(settings: Settings) -> None:
    """Once, beside the start: why an engine cannot be reached. It may be reached a moment later."""
    if reason := await obstacles(settings):
        logger().warning("an engine cannot be reached", reason=reason)


async def _opened_and_run(opening: Opening, address: str, parts: Sequence[str]) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    waits = backoff_s(0.2, 3.0)
    while True:
        try:
            async with opening() as services:
                for part in parts:
                    UP.labels(part).set(1)
                logger().info("ready", address=address)
                await run_services(services)
            logger().info("stopped")
            return
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            logger().warning("waiting for the engines", error=error.message)
            await asyncio.sleep(next(waits))


@asynccontextmanager
async def _worker_services(
    settings: Settings, names: list[str], bound: socket.socket
) -> AsyncIterator[list[Service]]:
    unused = set(ENGINES).difference(*(DUTIES[name].engines for name in names))
    async with open_clients(settings, may_lack=unused) as clients:
        services: list[Service] = []
        checks = engine_checks(clients, names)
        alive = {}
        for name in names:
            made = await _made(clients, name)
            for loop in [service for service in made if isinstance(service, Loop)]:
                watchdog = Watchdog(loop, settings.worker.stall_s)
                checks[loop.name], alive[loop.name] = loop.check_joined, watchdog.alive
                services.append(watchdog)
            services += made
        app = Starlette(
            routes=status_routes(Health(checks, alive, names)), exception_handlers={HTTPException: http_error}
        )
        app.router.redirect_slashes = False
        yield [*services, HttpService(app, bound, settings.gateway)]


async def _made(clients: Clients, name: str) -> list[Service]:
    match name:
        case "inbox":
            return [*consumers.wiring.inbox(clients)]
        case "push":
            return [consumers.wiring.push(clients)]
        case _:
            watch = LagWatch(clients.log, clients.partitions, clients.settings.worker.lag_s)
            return [*await producers.wiring.relay(clients), watch]
