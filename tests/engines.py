"""The real MongoDB, Kafka and Redis for one run of the tests, had in one of three ways.

Each way is a context manager that gives the addresses and leaves nothing running. None is bound to the
event loop of a test.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pymongo
import pytest
from pymongo.errors import PyMongoError

from infra.local.kafka import SETTINGS as KAFKA_SETTINGS
from infra.local.ports import free_port
from infra.local.stack import LocalEngines
from tests.patience import PATIENCE_S

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

QUICK_JAVA = "-XX:TieredStopAtLevel=1"
"""As the embedded Kafka has it: a broker that lives for minutes costs less if Java optimises less."""


class Engines(NamedTuple):
    mongo_url: str
    kafka_bootstrap: str
    redis_url: str


# ------------------------------------------------------------------ embedded


@contextmanager
def embedded() -> Iterator[Engines]:
    """The servers behind `ringpost up`, in a folder of their own, owned by a thread that lives as long."""
    addresses: Future[Engines] = Future()
    stopping = threading.Event()
    with tempfile.TemporaryDirectory(prefix="ringpost-test-") as folder:
        owner = threading.Thread(
            target=_own_engines, args=(Path(folder), addresses, stopping), name="engines"
        )
        owner.start()
        try:
            yield addresses.result()
        finally:
            stopping.set()
            owner.join()


def _own_engines(folder: Path, addresses: Future[Engines], stopping: threading.Event) -> None:
    async def live() -> None:
        async with LocalEngines(folder, on_event=print) as engines:
            addresses.set_result(Engines(engines.url("mongo"), engines.url("kafka"), engines.url("redis")))
            await asyncio.to_thread(stopping.wait)

    try:
        asyncio.run(live())
    except Exception as error:
        if addresses.done():
            raise
        addresses.set_exception(error)


# ------------------------------------------------------------------ by URL

_NAMES = ("RINGPOST_MONGO_URL", "RINGPOST_KAFKA_BOOTSTRAP", "RINGPOST_REDIS_URL")
GIVEN_URLS = {name: os.environ.get(name, "") for name in _NAMES}
"""The engines that the environment names at the start. No test finds them there."""


@contextmanager
def urls() -> Iterator[Engines]:
    """Engines that run already, given as in production."""
    if missing := [name for name, url in GIVEN_URLS.items() if not url]:
        raise LookupError(f"--engines=urls needs {', '.join(missing)}")
    yield Engines(*GIVEN_URLS.values())


# ------------------------------------------------------------------ containers


@contextmanager
def containers() -> Iterator[Engines]:
    """Containers of the official images, or of those that RINGPOST_TEST_{MONGO,KAFKA,REDIS}_IMAGE name."""
    # The suite stops its own containers, so the image that would do it for it is not needed.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    _need_docker()
    mongo_port, kafka_port, redis_port = free_port(), free_port(), free_port()
    with ExitStack() as running:
        for container in (_mongo(mongo_port), kafka := _kafka(kafka_port), _redis(redis_port)):
            running.enter_context(container)
        _until("MongoDB", lambda: _is_primary(mongo_port))
        _until("Kafka", lambda: b"Kafka Server started" in b"".join(kafka.get_logs()))
        _until("Redis", lambda: _pongs(redis_port))
        yield Engines(
            f"mongodb://127.0.0.1:{mongo_port}/?replicaSet=rs0",
            f"127.0.0.1:{kafka_port}",
            f"redis://127.0.0.1:{redis_port}/0",
        )


def _need_docker() -> None:
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env().close()
    except DockerException as error:
        pytest.exit(f"The tests on containers need a Docker engine that answers: {error}", returncode=3)


def _container(engine: str, official: str) -> DockerContainer:
    from testcontainers.core.container import DockerContainer

    return DockerContainer(os.environ.get(f"RINGPOST_TEST_{engine}_IMAGE") or official)


def _mongo(port: int) -> DockerContainer:
    """On the same port inside and outside, so that the set's one member has one address everywhere."""
    command = f"mongod --replSet rs0 --port {port} --bind_ip_all --wiredTigerCacheSizeGB 0.5"
    return _container("MONGO", "mongo:6.0.5").with_bind_ports(port, port).with_command(command)


def _kafka(port: int) -> DockerContainer:
    """One setting makes the image forget its defaults, so all are given: those of the embedded one."""
    settings = {
        **KAFKA_SETTINGS,
        "log.dirs": "/tmp/kraft-combined-logs",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }
    container = _container("KAFKA", "apache/kafka:4.3.0").with_bind_ports(9092, port)
    container.with_env("KAFKA_HEAP_OPTS", "-Xms64m -Xmx512m").with_env("JDK_JAVA_OPTIONS", QUICK_JAVA)
    for key, value in settings.items():
        container.with_env("KAFKA_" + key.replace(".", "_").upper(), value)
    return container


def _redis(port: int) -> DockerContainer:
    return _container("REDIS", "redis:7.0.15").with_bind_ports(6379, port)


def _until(engine: str, ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > give_up:
            raise TimeoutError(f"the container of {engine} was not ready after {PATIENCE_S:.0f} s")
        time.sleep(0.05)


def _is_primary(port: int) -> bool:
    with (
        suppress(PyMongoError),
        pymongo.MongoClient[dict[str, object]](
            "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as client,
    ):
        hello = client.admin.command("hello")
        if hello.get("isreplicaset"):
            members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        return bool(hello["isWritablePrimary"])
    return False


def _pongs(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


WAYS = {"embedded": embedded, "containers": containers, "urls": urls}
