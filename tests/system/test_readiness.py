"""Readiness says whether a process can do its job, not whether all engines are well."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests.builders import until
from tests.docs.running import ADMIN_KEY
from tests.engines import Engines
from tests.system.parts import Part, Parts, opened_parts
from tests.torture.proxy import Proxy

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.timeout(300)]

PATIENCE_S = 60.0
PARTS = ("api", "inbox", "push", "relay")
SETTINGS = {
    "RINGPOST_MONGO_TIMEOUT_S": "2",
    "RINGPOST_OUTBOX_LEASE_S": "3",
    "RINGPOST_OUTBOX_SCAN_S": "0.3",
    "RINGPOST_WORKER_LAG_S": "0.3",
}


class Scene(NamedTuple):
    parts: Parts
    proxies: dict[str, Proxy]

    def cut(self, *engines: str, stalled: bool = False) -> None:
        for engine in engines:
            self.proxies[engine].cut("all", stalled=stalled)

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal("all")


@asynccontextmanager
async def scene(engines: Engines, unique: str, folder: Path) -> AsyncIterator[Scene]:
    """Parts that reach each engine through a proxy. Kafka's proxy passes on only who asks for its brokers."""
    mongo, redis = urlsplit(engines.mongo_url), urlsplit(engines.redis_url)
    ports = {
        "mongo": mongo.port,
        "kafka": int(engines.kafka_bootstrap.rpartition(":")[2]),
        "redis": redis.port,
    }
    async with AsyncExitStack() as stack:
        proxies = {}
        for engine, port in ports.items():
            proxies[engine] = Proxy(lambda *_: "all")
            await proxies[engine].open()
            proxies[engine].target = port or 0
            stack.push_async_callback(proxies[engine].close)
        settings = SETTINGS | {
            "RINGPOST_MONGO_URL": f"mongodb://127.0.0.1:{proxies['mongo'].port}/?directConnection=true",
            "RINGPOST_KAFKA_BOOTSTRAP": f"127.0.0.1:{proxies['kafka'].port}",
            "RINGPOST_REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}/0",
        }
        async with opened_parts(engines, unique, folder, **settings) as parts:
            yield Scene(parts, proxies)


async def readiness(part: Part) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        answer = await client.get(f"{part.url}/health/ready")
    return answer.status_code, answer.json()


async def metric(process: Part, name: str, /, **labels: str) -> float | None:
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        text = (await client.get(f"{process.url}/metrics")).text
    said = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    found = re.search(rf"^{name}{{{re.escape(said)}}} (\S+)$", text, re.M)
    return float(found[1]) if found else None


async def finds_itself(part: Part, expected: str) -> str | None:
    """`ready` or `missing`, and the engines without which; None until it is as expected."""
    status, body = await readiness(part)
    return expected if f"{status} {body['status']}" == expected else None


CASES = {
    ("mongo",): ("200 degraded: mongo", "503 missing: mongo", "200 ok", "503 missing: mongo"),
    ("kafka",): ("200 degraded: kafka", "503 missing: kafka", "503 missing: kafka", "503 missing: kafka"),
    ("redis",): ("200 degraded: redis", "200 degraded: redis", "503 missing: redis", "200 degraded: redis"),
    ("mongo", "redis"): (
        "503 missing: mongo, redis",
        "503 missing: mongo, redis",
        "503 missing: redis",
        None,
    ),
}
"""Engines that are away → how each of PARTS finds itself; None: not asked."""


async def test_a_part_is_ready_while_it_can_do_its_job(engines, unique, tmp_path):
    async with scene(engines, unique, tmp_path) as at:
        parts = await at.parts.start(*PARTS)
        api = parts[0]
        for away, expected in CASES.items():
            at.cut(*away)
            for part, one in zip(parts, expected, strict=True):
                if one is not None:
                    await until(lambda part=part, one=one: finds_itself(part, one), PATIENCE_S, 0.3)
            can = expected[0].startswith("200")
            degraded = (await readiness(api))[1]["reasons"]
            assert [line.partition(":")[0] for line in degraded] == [f"api without {away[0]}"] * can
            assert await metric(api, "ringpost_degraded", part="api", engine=away[0]) == 1
            assert await metric(api, "ringpost_ready", part="api") == can
            at.heal()
            for part in parts:
                await until(lambda part=part: finds_itself(part, "200 ok"), PATIENCE_S, 0.3)
            assert await metric(api, "ringpost_degraded", part="api", engine=away[0]) == 0


@pytest.mark.parametrize("stalled", [False, True], ids=["refused", "silent"])
async def test_an_api_that_starts_without_kafka_serves_and_what_it_took_arrives(
    engines, unique, tmp_path, stalled
):
    async with scene(engines, unique, tmp_path) as at:
        at.cut("kafka", stalled=stalled)
        (api,) = await at.parts.start("api")
        async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_S, trust_env=False) as http:
            token = await device(http, "ann")
            for number in range(3):
                assert (await send(http, token, f"m{number}")).status_code == 201
            at.heal()
            await at.parts.start("inbox", "push", "relay")
            assert await texts(http, token, 3) == ["m0", "m1", "m2"]
            # The relay is through: from now on it goes the direct way, with partitions that it learned.
            await until(lambda: finds_itself(api, "200 ok"), PATIENCE_S, 0.3)
            assert (await send(http, token, "m3")).status_code == 201
            assert (await texts(http, token, 4))[-1] == "m3"


async def test_an_api_that_starts_without_redis_serves(engines, unique, tmp_path):
    async with scene(engines, unique, tmp_path) as at:
        at.cut("redis")
        (api,) = await at.parts.start("api")
        async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_S, trust_env=False) as http:
            token = await device(http, "ann")
            assert (await send(http, token, "m0")).status_code == 201


async def test_the_lag_of_a_worker_that_is_dead_grows(engines, unique, tmp_path):
    async with scene(engines, unique, tmp_path) as at:
        api, inbox, relay = await at.parts.start("api", "inbox", "relay")
        assert await metric(api, "ringpost_up", part="api") == 1
        assert await metric(inbox, "ringpost_up", part="inbox") == 1
        assert await metric(inbox, "ringpost_up", part="relay") is None
        await inbox.kill()
        async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_S, trust_env=False) as http:
            token = await device(http, "ann")
            for count in (1, 2):  # of records: messages that come together share one
                await send(http, token, f"m{count}")

                async def lag_is(count: int = count) -> bool:
                    return await metric(relay, "ringpost_lag", group="inbox") == count

                await until(lag_is, PATIENCE_S, 0.3)
            await at.parts.start("inbox")

            async def lag_is_gone() -> bool:
                return await metric(relay, "ringpost_lag", group="inbox") == 0

            await until(lag_is_gone, PATIENCE_S, 0.3)


async def device(http: httpx.AsyncClient, user: str) -> str:
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    assert (await http.put(f"/v1/users/{user}", json={}, headers=admin)).is_success
    body = {"user_id": user, "device_id": "phone"}
    return str((await http.post("/v1/tokens", json=body, headers=admin)).json()["token"])


async def send(http: httpx.AsyncClient, token: str, text: str) -> httpx.Response:
    body = {"to": "ann", "client_message_id": text, "kind": "text", "body": {"text": text}}
    return await http.post("/v1/messages", json=body, headers={"Authorization": f"Bearer {token}"})


async def texts(http: httpx.AsyncClient, token: str, count: int) -> list[str]:
    """All texts of the inbox, once there are so many."""

    async def arrived() -> list[str] | None:
        answer = await http.get("/v1/sync", headers={"Authorization": f"Bearer {token}"})
        entries = answer.json()["entries"]
        return [entry["message"]["body"]["text"] for entry in entries] if len(entries) >= count else None

    return list(await until(arrived, PATIENCE_S, 0.3))
