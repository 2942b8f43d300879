"""Builds the image, brings compose.yaml up, talks to it, knocks at it, kills parts of it. Only by name:

    python -m pytest tests/infra/deploy/compose_up.py

MONGO_IMAGE, KAFKA_IMAGE, REDIS_IMAGE and PYTHON_IMAGE name other images than the official ones.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from infra.local.ports import free_port

ROOT = Path(__file__).parents[3]
PARTS = ("api", "gateway", "inbox", "push", "relay")
ENGINES = ("mongo", "kafka", "redis")
WRITABLE = {"mongo": "/data/db", "kafka": "/opt/kafka/config", "redis": "/data", "api": "/tmp"}
KNOCK = {
    "MongoDB without a user": """
        import pymongo
        try: pymongo.MongoClient("mongodb://mongo:27017/?directConnection=true").ringpost.messages.find_one()
        except pymongo.errors.OperationFailure as error: print("refused", error.code)
    """,
    "MongoDB with a wrong password": """
        import pymongo
        url = "mongodb://ringpost:guess@mongo:27017/?directConnection=true&authSource=admin"
        try: pymongo.MongoClient(url).ringpost.messages.find_one()
        except pymongo.errors.OperationFailure as error: print("refused", error.code)
    """,
    "the users of MongoDB with the user of Ringpost": """
        import pymongo
        client = pymongo.MongoClient(open("/run/secrets/mongo_url").read().strip())
        assert client.ringpost.messages.estimated_document_count() >= 0
        try: client.admin.command("usersInfo")
        except pymongo.errors.OperationFailure as error: print("refused", error.code)
    """,
    "Kafka without a user": """
        import asyncio, aiokafka
        async def main():
            client = aiokafka.AIOKafkaProducer(bootstrap_servers="kafka:9092", request_timeout_ms=5000)
            try: await client.start()
            except aiokafka.errors.KafkaConnectionError: print("refused")
            finally: await client.stop()
        asyncio.run(main())
    """,
    "Kafka with a wrong password": """
        import asyncio, aiokafka
        async def main():
            client = aiokafka.AIOKafkaProducer(
                bootstrap_servers="kafka:9092", security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                sasl_plain_username="ringpost", sasl_plain_password="guess")
            try: await client.start()
            except aiokafka.errors.KafkaConnectionError: print("refused")
            finally: await client.stop()
        asyncio.run(main())
    """,
    "the controller of Kafka from another host": """
        import socket
        try: socket.create_connection(("kafka", 9093), 5)
        except ConnectionRefusedError: print("refused")
    """,
    "Redis without a user": """
        import redis
        try: redis.Redis("redis").get("rp:x")
        except redis.AuthenticationError: print("refused")
    """,
    "what empties Redis with the user of Ringpost": """
        import redis
        client = redis.Redis.from_url(open("/run/secrets/redis_url").read().strip())
        assert client.ping()
        try: client.flushall()
        except redis.exceptions.NoPermissionError: print("refused")
    """,
}
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


class Stack:
    """The compose file as one project, on free ports."""

    def __init__(self, secrets_folder: Path) -> None:
        self.secrets = secrets_folder
        self.api, self.gateway = free_port(), free_port()
        command = ["docker", "compose"]
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
            command = [shutil.which("docker-compose") or "docker-compose"]
        project = f"ringpost-test-{secrets.token_hex(3)}"
        self._command = [*command, "-p", project, "-f", str(ROOT / "infra" / "deploy" / "compose.yaml")]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
        self._environment = kept | {
            "RINGPOST_HTTP_PORT": str(self.api),
            "GATEWAY_PORT": str(self.gateway),
            "SECRETS": str(secrets_folder),
            "IMAGE": f"{project}:test",
            "RINGPOST_RING_CAPACITY": "7",
        }
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.api}", timeout=30)

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self) -> None:
        self("up", "-d")
        until(lambda: all(self.state(part)["Health"]["Status"] == "healthy" for part in PARTS), 240)

    def inspect(self, service: str) -> dict[str, Any]:
        container = self("ps", "-a", "-q", service).strip()
        found = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
        return json.loads(found.stdout)[0]

    def state(self, service: str) -> dict[str, Any]:
        return self.inspect(service)["State"]

    def python(self, program: str) -> str:
        """What the program prints in the container of the API."""
        return self("exec", "-T", "api", "python", "-c", textwrap.dedent(program))

    def kill(self, service: str) -> None:
        """All processes in the container but its first get a SIGKILL; then the first ends, too."""
        subprocess.run(
            [*self._command, "exec", "-T", service, "sh", "-c", "kill -9 -1"],
            env=self._environment,
            capture_output=True,
            check=False,
        )

    def call(self, method: str, path: str, key: str, body: object = None) -> Any:
        answer = self._http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.is_success, answer.text
        return answer.json()

    def token(self, user: str) -> str:
        key = (self.secrets / "admin_key").read_text().strip()
        self.call("PUT", f"/v1/users/{user}", key, {})
        body = {"user_id": user, "device_id": "phone"}
        return str(self.call("POST", "/v1/tokens", key, body)["token"])

    def send(self, token: str, to: str, text: str) -> None:
        body = {"to": to, "client_message_id": secrets.token_hex(8), "kind": "text", "body": {"text": text}}
        self.call("POST", "/v1/messages", token, body)

    def texts(self, token: str, cursor: int = 0) -> list[str]:
        answer = self.call("GET", f"/v1/sync?cursor={cursor}&limit=100", token)
        return [entry["message"]["body"]["text"] for entry in answer["entries"]]

    def close(self) -> None:
        self._http.close()
        self("down", "-v", "--remove-orphans")
        subprocess.run(["docker", "rmi", self._environment["IMAGE"]], capture_output=True, check=False)


def until(true: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not after {seconds:.0f} s"
        time.sleep(0.25)


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run([ROOT / "infra" / "deploy" / "secrets.sh", folder], check=True, capture_output=True)
    stack = Stack(folder)
    try:
        stack("build")
        stack.up()
        yield stack
    finally:
        stack.close()


def test_what_is_sent_at_the_api_arrives_at_the_gateway_and_by_pull(stack):
    ada, bob = stack.token("ada"), stack.token("bob")
    headers = {"Authorization": f"Bearer {bob}"}
    with connect(f"ws://127.0.0.1:{stack.gateway}/v1/connect", additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "hello", "cursor": 0}))
        assert json.loads(socket.recv(10))["type"] == "welcome"
        stack.send(ada, "bob", "hello")
        frame = json.loads(socket.recv(10))
        assert (frame["type"], frame["entries"][0]["message"]["body"]) == ("entries", {"text": "hello"})
    assert stack.texts(bob) == ["hello"]


@pytest.mark.parametrize("knock", KNOCK)
def test_who_has_no_password_is_refused_by(stack, knock):
    assert stack.python(KNOCK[knock]).startswith("refused")


@pytest.mark.parametrize("service", [*ENGINES, *PARTS])
def test_container_has_no_rights_and_bounds(stack, service):
    found = stack.inspect(service)
    host = found["HostConfig"]
    assert found["Config"]["User"].split(":")[0] not in ("", "0", "root")
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert (host["ReadonlyRootfs"], host["Privileged"]) == (True, False)
    assert all(host[bound] > 0 for bound in ("Memory", "NanoCpus", "PidsLimit"))
    assert {"max-size", "max-file"} <= set(host["LogConfig"]["Config"])
    status = stack("exec", "-T", service, "cat", "/proc/1/status")
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)


@pytest.mark.parametrize("service", [*ENGINES, *PARTS])
def test_root_cannot_be_written_and_what_must_be_can(stack, service):
    place = WRITABLE.get(service, "/tmp")
    said = stack("exec", "-T", service, "sh", "-c", f"touch /tried 2>&1; touch {place}/tried && echo written")
    assert "Read-only file system" in said
    assert said.endswith("written\n")


def test_no_secret_stands_in_what_docker_tells_or_logs(stack):
    for service in (*ENGINES, *PARTS, "init", "folders"):
        container = stack("ps", "-a", "-q", service).strip()
        told = subprocess.run(
            f"docker inspect {container}; docker logs {container} 2>&1",
            shell=True,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for file in stack.secrets.iterdir():
            secret = file.read_text().strip()
            assert secret not in told, (service, file.name)


def test_redis_drops_rings_when_it_is_full(stack):
    told = stack.python("""
        import redis
        info = redis.Redis.from_url(open("/run/secrets/redis_url").read().strip()).info("memory")
        print(info["maxmemory_policy"], info["maxmemory"])
    """)
    assert told.split() == ["volatile-lru", str(512 * 1024 * 1024)]


@pytest.mark.parametrize("part", ["inbox", "push", "relay", "gateway", "api"])
def test_a_part_that_is_killed_comes_back_and_goes_on(stack, part):
    started = stack.state(part)["StartedAt"]
    carl, dora = stack.token(f"carl-{part}"), stack.token(f"dora-{part}")
    stack.send(carl, f"dora-{part}", "before")
    stack.kill(part)
    until(lambda: stack.state(part)["StartedAt"] != started, 30)
    until(lambda: stack.state(part)["Health"]["Status"] == "healthy", 60)
    stack.send(carl, f"dora-{part}", "after")
    until(lambda: stack.texts(dora) == ["before", "after"], 30)


def test_messages_outlive_the_containers(stack):
    eve, finn = stack.token("eve"), stack.token("finn")
    stack.send(eve, "finn", "kept")
    until(lambda: stack.texts(finn) == ["kept"], 30)
    stack("down")
    stack.up()
    assert stack.texts(finn) == ["kept"]
