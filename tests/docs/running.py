"""A whole Ringpost for the length of a block: the API and all workers, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import pymongo
import redis

from infra.local.ports import free_port
from infra.redis.sentinel import SCHEMES
from tests.engines import Engines
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "an-admin-key-of-the-tests"
TOKEN_KEY = "a-token-key-of-the-tests-that-is-long-enough-for-its-algorithm"


class Running(NamedTuple):
    """`pids` by part: `api` and `workers`. `worker_url` is where the workers serve their health.

    Another process with their `environment` works beside them.
    """

    url: str
    admin_key: str
    pids: dict[str, int]
    worker_url: str
    environment: dict[str, str]


@contextmanager
def running(engines: Engines, unique: str, folder: Path, **settings: str) -> Iterator[Running]:
    """Ready when the block begins, gone when it ends. `settings` are further environment variables."""
    http, worker = free_port(), free_port()
    environment = os.environ | {
        "RINGPOST_MONGO_URL": engines.mongo_url,
        "RINGPOST_MONGO_DATABASE": unique,
        "RINGPOST_KAFKA_BOOTSTRAP": engines.kafka_bootstrap,
        "RINGPOST_KAFKA_TOPIC_PREFIX": f"{unique}.",
        "RINGPOST_KAFKA_PARTITIONS": "4",
        "RINGPOST_REDIS_URL": engines.redis_url,
        "RINGPOST_REDIS_KEY_PREFIX": f"{unique}:",
        "RINGPOST_HTTP_PORT": str(http),
        "RINGPOST_WORKER_PORT": str(worker),
        "RINGPOST_ADMIN_KEY": ADMIN_KEY,
        "RINGPOST_TOKEN_KEY": TOKEN_KEY,
        "RINGPOST_DATA_DIR": str(folder),
        "RINGPOST_LOG_FORMAT": "json",
        **settings,
    }
    parts = {"api": ["api"], "workers": ["worker", "all"]}
    with (folder / "log").open("w") as log:
        processes = {
            name: subprocess.Popen(
                [sys.executable, "-m", "ringpost", *words], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
            for name, words in parts.items()
        }
        try:
            for name, port in (("api", http), ("workers", worker)):
                _until_ready(processes[name], port, folder / "log")
            pids = {name: process.pid for name, process in processes.items()}
            urls = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{worker}"
            yield Running(urls[0], ADMIN_KEY, pids, urls[1], environment)
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                _ended(process)
            forget(engines, unique)


def forget(engines: Engines, unique: str) -> None:
    """Removes what a Ringpost stored; not from a Redis behind Sentinel, which was a test's own."""
    with pymongo.MongoClient[dict[str, object]](engines.mongo_url) as mongo:
        mongo.drop_database(unique)
    if engines.redis_url.startswith(SCHEMES):
        return
    with redis.Redis.from_url(engines.redis_url) as client:
        if keys := list(client.scan_iter(f"{unique}:*", count=1000)):
            client.delete(*keys)


def _until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up and process.poll() is None:
        with (
            suppress(URLError, OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"a part of Ringpost was not ready:\n{log.read_text()[-4000:]}")


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
