"""A process that cannot reach its engines says why, while it waits for them."""

from __future__ import annotations

from pathlib import Path

from infra.local.ports import free_port
from tests.builders import until
from tests.engines import Engines
from tests.system.parts import Parts


async def test_process_says_what_stands_in_the_way_to_each_engine(tmp_path: Path) -> None:
    port = free_port()
    engines = Engines(
        f"mongodb://me:hush@127.0.0.1:{port}/?replicaSet=rs0",
        "nowhere.invalid:9092",
        f"redis://:hush@127.0.0.1:{port}/0",
    )
    parts = Parts(engines, "x", tmp_path)
    part = parts.spawn("inbox")
    try:
        await until(lambda: "an engine cannot be reached" in part.tail())
        log = part.tail()
    finally:
        await parts.kill()
    assert f"Nothing listens on 127.0.0.1:{port} in RINGPOST_MONGO_URL." in log
    assert f"Nothing listens on 127.0.0.1:{port} in RINGPOST_REDIS_URL." in log
    assert "The host nowhere.invalid in RINGPOST_KAFKA_BOOTSTRAP is not known" in log
    assert "hush" not in log
