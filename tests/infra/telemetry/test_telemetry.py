from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest
from starlette.applications import Starlette

from domain.errors import Unavailable
from infra.telemetry.duties import DUTIES, ENGINES
from infra.telemetry.logs import hide_secrets
from infra.telemetry.names import APPENDED, CATALOGUE
from infra.telemetry.status import Health, status_routes
from tests.patience import PATIENCE_S


async def ok() -> None:
    return


async def away() -> None:
    raise Unavailable("Redis does not answer.")


def client_of(**checks) -> httpx.AsyncClient:
    app = Starlette(routes=status_routes(Health(checks)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_metrics_show_the_whole_catalogue():
    APPENDED.inc()
    async with client_of() as client:
        text = (await client.get("/metrics")).text
    assert all(f"# HELP {metric.describe()[0].name}" in text for metric in CATALOGUE.values())


async def test_live_says_ok_whatever_the_engines_do():
    async with client_of(redis=away) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_ready_names_what_is_missing():
    async with client_of(mongo=ok, redis=away) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"mongo": "ok", "redis": "Redis does not answer."}
    assert "redis" in answer.json()["status"]


async def test_ready_when_all_parts_answer():
    async with client_of(mongo=ok) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.parametrize("part", DUTIES)
def test_every_duty_is_about_engines_that_the_part_uses(part):
    duty = DUTIES[part]
    assert {engine for group in duty.needs for engine in group} <= set(duty.engines) <= set(ENGINES)
    assert duty.is_done_with(duty.engines)
    assert not duty.is_done_with([])


async def test_part_that_goes_on_without_an_engine_is_ready_and_says_what_is_lacking():
    health = Health({"mongo": ok, "redis": away, "kafka": ok}, parts=["api"])
    state = await health.state()
    assert state.ready
    assert state.missing == ["redis"]
    assert state.degraded == [f"api without redis: {DUTIES['api'].without['redis']}"]


async def test_process_of_several_parts_is_ready_when_each_of_them_is():
    """inbox goes on without Redis, push cannot."""
    checks = {"mongo": ok, "redis": away, "kafka": ok}
    assert (await Health(checks, parts=["inbox"]).state()).ready
    assert not (await Health(checks, parts=["inbox", "push"]).state()).ready


async def test_worker_that_its_group_has_not_let_in_is_not_ready():
    health = Health({"mongo": ok, "redis": ok, "kafka": ok, "inbox": away}, parts=["inbox"])
    assert not (await health.state()).ready


async def test_health_is_remembered_for_a_moment():
    """I8: however many ask, the engines are asked once a second."""
    asked = []

    async def counting() -> None:
        asked.append(1)

    health = Health({"mongo": counting})
    for _ in range(20):
        await health.state()
    assert len(asked) == 1


@pytest.mark.parametrize(
    "field", ["token", "admin_key", "Authorization", "body", "client_secret", "password"]
)
def test_fields_named_like_a_secret_are_not_logged(field):
    assert hide_secrets(None, "info", {"event": "x", field: "hush"}) == {"event": "x", field: "(hidden)"}


@pytest.mark.parametrize("url", ["mongodb://u:hush@h/db", "redis://:hush@h:1", "at redis://u:hush@h now"])
def test_passwords_in_urls_are_not_logged(url):
    assert "hush" not in json.dumps(hide_secrets(None, "info", {"event": "x", "url": url}))


def test_ids_are_logged():
    event = {"event": "stored", "message_id": "d:ann:bob:1", "conversation_id": "d:ann:bob"}
    assert hide_secrets(None, "info", dict(event)) == event


LIBRARIES = """
import asyncio, logging
from aiokafka.errors import KafkaConnectionError
from infra.settings import LogSettings
from infra.telemetry.duties import DUTIES, ENGINES
from infra.telemetry.logs import configure_logs

configure_logs(LogSettings(format="json"), "api")
logging.getLogger("uvicorn.error").error("no answer from redis://:hush@h:1")
logging.getLogger("uvicorn.error").info("of no interest")

async def never_asked(*errors):
    loop = asyncio.get_running_loop()
    for error in errors:
        loop.create_future().set_exception(error)

asyncio.run(never_asked(KafkaConnectionError("given up"), ValueError("of ours")))
"""


def test_lines_of_libraries_have_the_form_of_ours():
    """And what becomes of a producer that was left is not among them."""
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "no answer from redis://:(hidden)@h:1",
        lines[1]["event"],
    ]
    assert {(line["part"], line["level"]) for line in lines} == {("api", "error")}
    assert [line["logger"] for line in lines] == ["uvicorn.error", "asyncio"]
    assert "ValueError: of ours" in lines[1]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
