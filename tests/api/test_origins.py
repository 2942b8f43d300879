"""Web pages of other origins, and the port for operators: one Ringpost that is set up for both."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from infra.local.ports import free_port
from tests.api.people import Person, Server, bearer, refused
from tests.docs.running import running

PAGE = "https://chat.example"
OTHER = "https://other.example"


class Ports(NamedTuple):
    public: Server
    admin: Server


@pytest.fixture(scope="module")
def ports(engines, tmp_path_factory) -> Iterator[Ports]:
    port = free_port()
    settings = {
        "RINGPOST_HTTP_ORIGINS": f"{PAGE}, http://localhost:3000",
        "RINGPOST_HTTP_ADMIN_PORT": str(port),
    }
    folder = tmp_path_factory.mktemp("origins")
    with (
        running(engines, f"t{secrets.token_hex(5)}", folder, **settings) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as public,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=70) as admin,
    ):
        yield Ports(
            Server(ringpost.url, ringpost.admin_key, public),
            Server(str(admin.base_url), ringpost.admin_key, admin),
        )


@pytest.fixture(scope="module")
def ann(ports) -> Person:
    return ports.admin.person("ann")._replace(server=ports.public)


def preflight(ports: Ports, origin: str, headers: str = "authorization,content-type") -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }
    return ports.public.http.options("/v1/messages", headers=asked)


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_page_of_a_listed_origin_may_send_with_a_token(ports, origin):
    answer = preflight(ports, origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert {"authorization", "content-type"} <= set(allowed)
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [OTHER, f"{PAGE}.evil.example", "http://chat.example", "null"])
def test_page_of_another_origin_may_not(ports, ann, origin):
    assert "access-control-allow-origin" not in preflight(ports, origin).headers
    answer = ann.ask("GET", "/v1/conversations", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_page_can_read_answers_and_errors(ports, ann):
    origin = {"Origin": PAGE}
    answers = {
        200: ann.ask("GET", "/v1/conversations", headers=origin),
        400: ann.ask("GET", "/v1/sync", params={"limit": 0}, headers=origin),
        401: ports.public.http.get("/v1/sync", headers=origin),
        404: ann.ask("GET", "/v1/nothing", headers=origin),
        405: ann.ask("DELETE", "/v1/sync", headers=origin),
    }
    assert {status: answer.status_code for status, answer in answers.items()} == {s: s for s in answers}
    assert {answer.headers["access-control-allow-origin"] for answer in answers.values()} == {PAGE}
    assert all("Origin" in answer.headers["vary"] for answer in answers.values())


@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_page_of_any_origin_may_open_a_socket(ports, ann, origin):
    """It needs a token, which no browser sends by itself."""
    url = ports.public.url.replace("http", "ws", 1) + "/v1/connect"
    with connect(url, origin=origin, proxy=None) as socket:
        socket.send(json.dumps({"type": "hello", "token": ann.token}))
        assert json.loads(socket.recv(15))["type"] == "welcome"


def test_public_port_has_no_calls_of_admins_and_no_metrics(ports):
    http, key = ports.public.http, bearer(ports.public.admin_key)
    refused(http.put("/v1/users/bob", json={}, headers=key), 404, "not_found")
    refused(http.post("/v1/tokens", json={"user_id": "a", "device_id": "b"}, headers=key), 404, "not_found")
    refused(http.get("/metrics"), 404, "not_found")
    paths = http.get("/openapi.json").json()["paths"]
    assert "/v1/messages" in paths
    assert not {"/v1/users/{user_id}", "/v1/tokens"} & set(paths)


def test_admin_port_has_them_and_nothing_else(ports, ann):
    http = ports.admin.http
    assert ports.admin.admin("PUT", "/v1/users/bob", json={}).status_code == 200
    assert "ringpost_up" in http.get("/metrics").text
    refused(http.get("/v1/sync", headers=bearer(ann.token)), 404, "not_found")
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/users/{user_id}", "/v1/tokens"} <= set(paths)
    assert "/v1/messages" not in paths


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_on_both_ports(ports, path):
    assert [server.http.get(path).status_code for server in ports] == [200, 200]
