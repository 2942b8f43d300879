"""What the doctor says of the parts of Ringpost: alive, gone, stuck, or somewhere else."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from api.server import HttpService, bound_socket
from consumers import wiring
from infra.kafka.groups import GroupTool
from infra.kafka.publisher import Record
from infra.kafka.topics import DELIVERIES
from infra.mongo.outbox import OutboxStore
from infra.settings import GatewaySettings
from producers.wiring import Clients, send_path
from producers.wiring import relay as make_relay
from ringpost.finding import Finding, found
from ringpost.parts import api, consumer, relay, worker_at
from tests.builders import opened_clients, running, settings_for, until


@pytest.fixture
async def clients(engines, unique) -> AsyncIterator[Clients]:
    settings = settings_for(engines, unique, outbox={"lease_s": 2.0, "scan_s": 0.1})
    async with opened_clients(settings) as opened:
        yield opened


async def finding_of(look: Awaitable[str]) -> Finding:
    return await found("part", lambda: look)


async def ready_body(answer: Response) -> AsyncIterator[str]:
    async def ready(_: Request) -> Response:
        return answer

    with bound_socket("127.0.0.1", 0) as bound:
        app = Starlette(routes=[Route("/health/ready", ready)])
        service = HttpService(app, bound, GatewaySettings())
        async with running(service):
            await service.listening.wait()
            yield f"http://127.0.0.1:{service.port}"


health = asynccontextmanager(ready_body)


async def test_consumer_is_alive_while_it_is_in_its_group(clients):
    groups = GroupTool(clients.log)
    async with running(*wiring.inbox(clients)):

        async def alive() -> bool:
            return (await finding_of(consumer("inbox", DELIVERIES, groups))).ok

        await until(alive)
    gone = await finding_of(consumer("inbox", DELIVERIES, groups))
    assert not gone.ok
    assert "nothing to do. Run `ringpost worker inbox`." in gone.said


async def test_consumer_that_finishes_nothing_is_not_well(clients):
    """A member that only says that it lives; the real one then does what it left."""
    log, groups = clients.log, GroupTool(clients.log)
    idle = log.consumer("inbox", 10)
    idle.subscribe([log.topic(DELIVERIES)])
    await idle.start()
    try:
        await (await clients.publisher.enqueue([Record(DELIVERIES, 0, b"", b"poison")])).confirmed()
        stuck = await finding_of(consumer("inbox", DELIVERIES, groups, within_s=1))
    finally:
        await idle.stop()
    assert not stuck.ok
    assert "1 record to do, and none was finished within 1 s" in stuck.said
    async with running(*wiring.inbox(clients)):

        async def done() -> bool:
            return "nothing to do" in await consumer("inbox", DELIVERIES, groups)

        await until(done)


async def test_relay_is_alive_while_it_renews_its_lease_and_takes_its_turn(clients):
    outbox = OutboxStore(clients.database)
    service, barrier = await make_relay(clients)
    stuck = await finding_of(relay(outbox, within_s=0.5))  # it has its lease, and has not run yet
    assert not stuck.ok
    assert "1 running, nothing to do, and none takes its turn" in stuck.said
    async with running(service, barrier):
        assert await relay(outbox) == "1 running; nothing to do"
    gone = await finding_of(relay(outbox))
    assert not gone.ok
    assert "Run `ringpost worker relay`" in gone.said


@pytest.mark.parametrize(
    "answer, ok, said",
    [
        (JSONResponse({"status": "ok", "parts": {"mongo": "ok"}}), True, "ready at"),
        (
            JSONResponse({"status": "degraded", "parts": {"mongo": "ok", "kafka": "does not answer"}}),
            False,
            "works with less than it needs: kafka: does not answer.",
        ),
        (
            JSONResponse({"status": "degraded", "reasons": ["Redis is away."]}),
            False,
            "works with less than it needs: Redis is away.",
        ),
        (
            JSONResponse({"status": "missing: mongo", "parts": {"mongo": "away"}}, 503),
            False,
            "is not ready: mongo: away.",
        ),
        (PlainTextResponse("<html>"), False, "answers, but not as Ringpost does (status 200)"),
        (JSONResponse(["ok"]), False, "answers, but not as Ringpost does"),
        (JSONResponse({"status": "ok", "parts": 1}), False, "answers, but not as Ringpost does"),
    ],
)
async def test_what_a_part_says_of_itself_is_what_the_doctor_says(answer, ok, said):
    async with health(answer) as url:
        finding = await finding_of(worker_at(url))
    assert finding.ok == ok
    assert said in finding.said


async def test_api_that_does_not_answer_may_live_elsewhere_as_its_lease_shows(clients):
    outbox, nowhere = OutboxStore(clients.database), "http://127.0.0.1:9"
    assert "Start it with `ringpost api`" in (await finding_of(api(nowhere, outbox))).said
    await send_path(clients)
    away = await finding_of(api(nowhere, outbox))
    assert not away.ok
    assert (
        "No answer from http://127.0.0.1:9: Connection refused. 1 API process(es) hold a lease" in away.said
    )


async def test_worker_that_hangs_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hanging = await finding_of(worker_at(url, within_s=0.2))
    assert not hanging.ok
    assert "it takes too long" in hanging.said
