"""What holds for every HTTP request: no redirects, nothing private is kept, and who goes away is no fault."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.api.people import bearer, message, refused
from tests.builders import until


def connection(server) -> socket.socket:
    where = urlsplit(server.url)
    return socket.create_connection((where.hostname, where.port), timeout=20)


def requests(server, route: str) -> dict[str, float]:
    """Status → how many requests of this route were answered with it."""
    counted = {}
    for line in server.http.get("/metrics").text.splitlines():
        if line.startswith(f'ringpost_requests_total{{route="{route}"'):
            counted[line.split('status="')[1].split('"')[0]] = float(line.rsplit(" ", 1)[1])
    return counted


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sync/",
        "/v1/messages/",
        "/v1/conversations/",
        "/v1/users/ann/",
        "/v1/connect/",
        "/health/live/",
        "/metrics/",
        "/docs/",
        "/openapi.json/",
        "/v1//sync",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path_with_a_slash_too_many_is_not_found(server, ann, method, path):
    answer = server.http.request(method, path, headers=bearer(ann.token) | {"Host": "elsewhere.example"})
    refused(answer, 404, "not_found")
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/", "/metrics/", "/nothing"])
def test_path_with_a_slash_too_many_is_not_found_at_a_worker_either(server, path):
    answer = server.http.get(server.worker_url + path)
    refused(answer, 404, "not_found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/v1/sync", 200),
        ("GET", "/v1/sync?limit=0", 400),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/sync", 405),
        ("PUT", "/v1/users/x", 403),
        ("HEAD", "/v1/sync", 200),
    ],
)
def test_no_answer_is_kept_by_a_cache(ann, method, path, status):
    answer = ann.ask(method, path, content=b"{}" if method == "PUT" else None)
    assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")


def test_answer_to_a_stranger_is_not_kept_either(server):
    assert server.http.get("/v1/sync").headers["cache-control"] == "no-store"


def test_message_of_a_client_that_offers_http2_is_stored(ann, bob):
    """Java's HttpClient sends these with its first request."""
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA"}
    sent = message(ann.direct(bob), "from Java")
    assert ann.ask("POST", "/v1/messages", json=sent, headers=headers).status_code == 201
    assert bob.arrived(1)[0]["message"]["body"] == {"text": "from Java"}


async def test_client_that_goes_away_in_the_middle_of_its_body_is_no_fault(server, ann, bob):
    content = json.dumps(message(ann.direct(bob))).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ann.token}\r\n"
    before = requests(server, "POST /v1/messages")
    with connection(server) as wire:
        wire.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:20])

    def counted() -> dict[str, float]:
        after = requests(server, "POST /v1/messages")
        return {status: much - before.get(status, 0) for status, much in after.items()}

    await until(lambda: counted().get("499") == 1, 20)
    assert counted().get("500", 0) == 0
