"""Redis is emptied or replaced under connected devices: what is sent then still reaches them in seconds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from tests.api.people import Server
from tests.clusters import redis_of, redis_set
from tests.docs.running import running
from tests.patience import FAR_OFF_S, PATIENCE_S

QUIET = {
    "RINGPOST_GATEWAY_HEARTBEAT_S": str(FAR_OFF_S),
    "RINGPOST_GATEWAY_PRESENCE_TTL_S": str(FAR_OFF_S),
}
"""Nothing is looked for or renewed by the way."""


@pytest.fixture
def quiet(engines, unique, tmp_path):
    """A Ringpost of its own that looks at nothing by the way."""
    with (
        running(engines, unique, tmp_path, **QUIET) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http)


@pytest.fixture
def flush(engines, unique):
    """As FLUSHALL does, for the keys of this test, once a device of Bob that is named so is online."""

    def flush(device: bytes) -> None:
        with redis.Redis.from_url(engines.redis_url) as client:
            end = time.monotonic() + PATIENCE_S
            while not any(device in place for place in client.zrange(f"{unique}:{{u:bob}}:online", 0, -1)):
                assert time.monotonic() < end
            client.delete(*client.scan_iter(f"{unique}:*", count=1000))

    return flush


def test_entry_sent_after_a_flush_is_pushed_within_seconds(quiet, flush):
    ann, bob = quiet.person("ann"), quiet.person("bob")
    direct = ann.direct(bob)
    with bob.socket() as socket:
        ann.send(direct)
        assert [entry["seq"] for entry in socket.entries(1)] == [1]
        flush(b"/phone")
        ann.send(direct)
        assert [entry["seq"] for entry in socket.entries(1)] == [2]
        ann.send(direct)
        assert [entry["seq"] for entry in socket.entries(1)] == [3]


def test_poll_that_waits_during_a_flush_is_answered_within_seconds(quiet, flush):
    ann, bob = quiet.person("ann"), quiet.person("bob")
    direct = ann.direct(bob)
    ann.send(direct)
    bob.arrived(1)
    with ThreadPoolExecutor(1) as thread:
        polling = thread.submit(bob.get, "/v1/sync", cursor=1, wait_s=60)
        flush(b"/poll-")
        ann.send(direct)
        assert [entry["seq"] for entry in polling.result()["entries"]] == [2]


async def test_device_hears_within_seconds_of_an_orderly_fail_over(engines, unique, tmp_path):
    """The primary of before goes on for ten seconds as if it were still the one, and keeps its listeners."""
    async with redis_set() as cluster:
        own = engines._replace(redis_url=cluster.url)
        with (
            running(own, unique, tmp_path, **QUIET) as ringpost,
            httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
        ):
            server = Server(ringpost.url, ringpost.admin_key, http)
            ann, bob = server.person("ann"), server.person("bob")
            direct = ann.direct(bob)
            with bob.socket() as socket:
                ann.send(direct)
                assert [entry["seq"] for entry in socket.entries(1)] == [1]
                old = await cluster.primary()
                async with redis_of(cluster.sentinels[0]) as sentinel:
                    await sentinel.execute_command("SENTINEL", "FAILOVER", "mymaster")
                await cluster.moved(old)
                ann.send(direct)
                assert [entry["seq"] for entry in socket.entries(1)] == [2]
