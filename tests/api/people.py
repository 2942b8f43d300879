"""Users of a running API, in one word for each thing that they do."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.patience import PATIENCE_S

_numbers = itertools.count(1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Server(NamedTuple):
    url: str
    admin_key: str
    http: httpx.Client
    worker_url: str = ""

    def admin(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self.http.request(method, path, headers=bearer(self.admin_key), **kwargs)

    def person(
        self, user_id: str, device_id: str = "phone", name: str | None = None, **fields: Any
    ) -> Person:
        assert self.admin("PUT", f"/v1/users/{user_id}", json={"name": name}).status_code == 200
        minted = self.admin("POST", "/v1/tokens", json={"user_id": user_id, "device_id": device_id, **fields})
        assert minted.status_code == 200
        return Person(self, user_id, device_id, minted.json()["token"])


class Person(NamedTuple):
    server: Server
    user_id: str
    device_id: str
    token: str

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = bearer(self.token) | kwargs.pop("headers", {})
        return self.server.http.request(method, path, headers=headers, **kwargs)

    def get(self, path: str, **params: Any) -> Any:
        return good(self.ask("GET", path, params=params))

    def post(self, path: str, **body: Any) -> Any:
        return good(self.ask("POST", path, json=body))

    def direct(self, other: Person) -> str:
        return self.post("/v1/conversations", kind="direct", **{"with": other.user_id})["conversation_id"]

    def group(self, *others: Person, **fields: Any) -> str:
        members = [other.user_id for other in others]
        return self.post("/v1/conversations", kind="group", members=members, **fields)["conversation_id"]

    def send(self, conversation: str, text: str = "hello") -> Any:
        return self.post("/v1/messages", **message(conversation, text))

    def arrived(self, head: int) -> list[Any]:
        """All entries of the inbox, as soon as it reaches to this head."""
        entries: list[Any] = []
        end = time.monotonic() + PATIENCE_S
        while len(entries) < head:
            assert time.monotonic() < end, f"only {len(entries)} entries of {head} arrived"
            page = self.get("/v1/sync", cursor=len(entries), limit=200, wait_s=5)
            entries += page["entries"]
        return entries

    @contextmanager
    def socket(self, **hello: Any) -> Iterator[Socket]:
        """Connected and welcomed, the token in the header."""
        with opened(self.server, bearer(self.token)) as socket:
            socket.say(type="hello", **hello)
            socket.welcome = socket.next("welcome")
            yield socket


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: Any = None

    def say(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def next(self, type_: str) -> Any:
        """The next frame of this type; only heartbeats may stand before it."""
        while True:
            frame = json.loads(self.connection.recv(timeout=PATIENCE_S))
            if frame["type"] == type_:
                return frame
            assert frame["type"] == "heartbeat", frame

    def answer(self, type_: str) -> Any:
        """The next frame of this type, past entries, which may overtake an answer."""
        while (frame := json.loads(self.connection.recv(timeout=PATIENCE_S)))["type"] != type_:
            assert frame["type"] in {"heartbeat", "entries"}, frame
        return frame

    def entries(self, count: int) -> list[Any]:
        """The next entries, at least so many."""
        found: list[Any] = []
        while len(found) < count:
            found += self.next("entries")["entries"]
        return found

    def closed(self) -> int:
        """The code with which the server ends the connection, whatever comes before it."""
        end = time.monotonic() + PATIENCE_S
        with suppress(ConnectionClosed):
            while time.monotonic() < end:
                self.connection.recv(timeout=PATIENCE_S)
        code = self.connection.close_code
        assert code is not None, f"the connection is still there after {PATIENCE_S} s"
        return code


@contextmanager
def opened(server: Server, headers: dict[str, str] | None = None) -> Iterator[Socket]:
    """Connected, nothing said."""
    url = server.url.replace("http", "ws", 1) + "/v1/connect"
    with connect(url, additional_headers=headers, proxy=None) as connection:
        yield Socket(connection)


def message(conversation: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """What POST /v1/messages takes, with a client_message_id of its own."""
    body = {"conversation_id": conversation, "kind": "text", "body": {"text": text}}
    return {"client_message_id": f"m{next(_numbers)}", **body, **fields}


def good(answer: httpx.Response) -> Any:
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error, which has the form that every error has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    assert set(error) - {"field"} == {"code", "message", "retriable"}
    assert error["message"]
    assert error["retriable"] is False
    return error
