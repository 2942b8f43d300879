"""Builds the image, brings compose.yaml up, talks to it, kills parts of it. Runs only when it is named:

    python -m pytest tests/infra/deploy/compose_up.py

MONGO_IMAGE, KAFKA_IMAGE, REDIS_IMAGE and PYTHON_IMAGE name other images than the official ones.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
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
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


class Stack:
    """The compose file as one project, on free ports."""

    def __init__(self) -> None:
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
        until(lambda: all(self.state(part)["Health"]["Status"] == "healthy" for part in PARTS), 120)

    def inspect(self, service: str) -> dict[str, Any]:
        container = self("ps", "-q", service).strip()
        found = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
        return json.loads(found.stdout)[0]

    def state(self, service: str) -> dict[str, Any]:
        return self.inspect(service)["State"]

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
        keys = json.loads(self("exec", "-T", "api", "cat", "/var/lib/ringpost/keys.json"))
        self.call("PUT", f"/v1/users/{user}", keys["admin"], {})
        body = {"user_id": user, "device_id": "phone"}
        return str(self.call("POST", "/v1/tokens", keys["admin"], body)["token"])

    def send(self, token: str, to: str, text: str) -> None:
        body = {"to": to, "client_message_id": secrets.token_hex(8), "kind": "text", "body": {"text": text}}
        self.call("POST", "/v1/messages", token, body)

    def texts(self, token: str, cursor: int = 0) -> list[str]:
        answer = self.call("GET", f"/v1/sync?cursor={cursor}&limit=100", token)
        return [entry["message"]["body"]["text"] for entry in answer["entries"]]

    def close(self) -> None:
        self._http.close()
        self("down", "-v", "--remove-orphans")


def until(true: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not after {seconds:.0f} s"
        time.sleep(0.25)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack()
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
