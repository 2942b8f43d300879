"""The examples for Caddy and nginx, with the real programs in front of a running Ringpost."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from websockets.asyncio.client import connect

from infra.local.ports import free_port
from tests.api.people import Person, Server, good, message, refused
from tests.api.served import served
from tests.docs.running import running

DEPLOY = Path(__file__).parents[3] / "infra" / "deploy"
SITE, BELOW = "chat.example.com", "www.example.com"
READY_S = 60.0
PROGRAMS = {
    "caddy": shutil.which("caddy"),
    "nginx": shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"),
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
Kept = TypeVar("Kept")
pytestmark = [pytest.mark.system, pytest.mark.same_on_all_engines, pytest.mark.timeout(300)]


class Certificate(NamedTuple):
    certificate: Path
    key: Path


class Front(NamedTuple):
    """A proxy: the port on which it speaks TLS, and whose certificate is to be trusted."""

    port: int
    certificate: Path

    @property
    def trusted(self) -> ssl.SSLContext:
        """A new one each time: a client changes its context while it connects, so threads share none."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def http(self, **options: Any) -> httpx.Client:
        """For both sites, whose names mean this machine."""
        transport = httpx.HTTPTransport(verify=self.trusted, **options)
        return httpx.Client(transport=_Here(transport), timeout=90)

    def url(self, site: str) -> str:
        return f"https://{SITE}:{self.port}" if site == SITE else f"https://{BELOW}:{self.port}/chat"


class _Here(httpx.BaseTransport):
    """Names are not looked up: every one is this machine. TLS still checks them."""

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        request.extensions["sni_hostname"] = name
        request.url = request.url.copy_with(host="127.0.0.1")
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    """Of both sites, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "example.com.pem", folder / "example.com.key")
    names = f"subjectAltName=DNS:{SITE},DNS:{BELOW}"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={SITE}",
    ]
    files = ["-addext", names, "-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return made


def for_this_machine(text: str, port: int, api: int) -> str:
    """An example with the ports of the test; what else it says stays."""
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{api}").replace("127.0.0.1:8081", f"127.0.0.1:{api}")


def caddy(folder: Path, port: int, api: int, certificate: Certificate) -> list[str]:
    text = for_this_machine((DEPLOY / "Caddyfile").read_text(), port, api)
    for site in (SITE, BELOW):
        assert f"\n{site} {{\n" in text
        tls = f"tls {certificate.certificate} {certificate.key}"
        text = text.replace(f"\n{site} {{\n", f"\nhttps://{site}:{port} {{\n\t{tls}\n")
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + text)
    return [str(PROGRAMS["caddy"]), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def nginx(folder: Path, port: int, api: int, certificate: Certificate) -> list[str]:
    text = for_this_machine((DEPLOY / "nginx.conf").read_text(), port, api)
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    text = text.replace("/etc/ssl/private/example.com.pem", str(certificate.certificate))
    text = text.replace("/etc/ssl/private/example.com.key", str(certificate.key))
    (folder / "ringpost.conf").write_text(text)
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{name}_temp_path {folder / name};" for name in paths)
    user = "user root;\n" if os.geteuid() == 0 else ""  # whose the folder is
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\ninclude {folder / 'ringpost.conf'};\n}}\n"
    )
    return [str(PROGRAMS["nginx"]), "-p", str(folder), "-c", str(folder / "nginx.conf")]


COMMANDS: dict[str, Callable[..., list[str]]] = {"caddy": caddy, "nginx": nginx}


@contextmanager
def fronted(program: str, folder: Path, api: int, certificate: Certificate) -> Iterator[Front]:
    """The program with its example, in front of what listens on the port `api`."""
    if PROGRAMS[program] is None:
        pytest.skip(f"{program} is not installed")
    port = free_port()
    command = COMMANDS[program](folder, port, api, certificate)
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _until_it_listens(process, port, folder / "log")
            yield Front(port, certificate.certificate)
        finally:
            process.terminate()
            process.wait(30)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + READY_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the proxy does not listen:\n{log.read_text()}")


@pytest.fixture(scope="module")
def ringpost(engines, tmp_path_factory) -> Iterator[Server]:
    name = f"t{secrets.token_hex(5)}"
    settings = {"RINGPOST_HTTP_TRUSTED_PROXIES": "127.0.0.1", "RINGPOST_HTTP_ORIGINS": "*"}
    with (
        running(engines, name, tmp_path_factory.mktemp("ringpost"), **settings) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http)


@pytest.fixture(scope="module")
def fronts(ringpost, certificate, tmp_path_factory) -> Iterator[dict[str, Front]]:
    """Of each program that is installed, side by side."""
    api = int(ringpost.url.rpartition(":")[2])
    with ExitStack() as running:
        yield {
            program: running.enter_context(
                fronted(program, tmp_path_factory.mktemp(program), api, certificate)
            )
            for program in sorted(COMMANDS)
            if PROGRAMS[program] is not None
        }


def of(kept: dict[str, Kept], program: str) -> Kept:
    if program not in kept:
        pytest.skip(f"{program} is not installed")
    return kept[program]


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def front(request, fronts) -> Front:
    return of(fronts, request.param)


@pytest.fixture(scope="module")
def ann(ringpost) -> Person:
    return ringpost.person(f"u{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def longest_polls(fronts, ringpost) -> Iterator[dict[str, Future[httpx.Response]]]:
    """The longest there is, through each program, by somebody to whom nobody writes.

    All are begun before the other tests, so that all of them together take a minute.
    """

    def poll(http: httpx.Client, front: Front, token: str) -> httpx.Response:
        return http.get(f"{front.url(SITE)}/v1/sync?wait_s=60", headers={"Authorization": f"Bearer {token}"})

    with ExitStack() as clients, ThreadPoolExecutor(len(COMMANDS)) as pool:
        polls: dict[str, Future[httpx.Response]] = {}
        for program, front in fronts.items():
            lonely = ringpost.person(f"u{secrets.token_hex(6)}")
            http = clients.enter_context(front.http())
            polls[program] = pool.submit(poll, http, front, lonely.token)
        yield polls


@pytest.mark.usefixtures("longest_polls")
@pytest.mark.parametrize("site", [SITE, BELOW])
def test_a_message_is_sent_and_pulled_through_the_proxy(front, ann, site):
    headers = {"Authorization": f"Bearer {ann.token}"}
    with front.http() as http:
        sent = http.post(f"{front.url(site)}/v1/messages", json=message_to(ann, "through"), headers=headers)
        assert sent.status_code == 201, sent.text
        head = good(http.get(f"{front.url(site)}/v1/sync?wait_s=20", headers=headers))["head"]
    assert head >= 1


@pytest.mark.parametrize("site", [SITE, BELOW])
def test_a_poll_that_waits_is_answered_when_something_comes(front, ann, site):
    head = ann.get("/v1/sync")["head"]
    headers = {"Authorization": f"Bearer {ann.token}"}
    with front.http() as http, ThreadPoolExecutor(1) as pool:
        poll = pool.submit(http.get, f"{front.url(site)}/v1/sync?cursor={head}&wait_s=60", headers=headers)
        ann.post("/v1/messages", **message_to(ann, "news"))
        entries = good(poll.result(90))["entries"]
    assert entries[0]["seq"] == head + 1


@pytest.mark.parametrize("site", [SITE, BELOW])
async def test_a_socket_through_the_proxy_gets_what_is_pushed(front, ann, site):
    """One thread alone: with two, OpenSSL crashes when one reads while the other writes."""
    head = ann.get("/v1/sync")["head"]
    url = front.url(site).replace("https", "wss", 1) + "/v1/connect"
    connection = socket.create_connection(("127.0.0.1", front.port))
    async with (
        asyncio.timeout(90),
        connect(url, sock=connection, ssl=front.trusted, server_hostname=site, proxy=None) as device,
    ):
        await device.send(json.dumps({"type": "hello", "token": ann.token, "cursor": head}))
        assert json.loads(await device.recv())["type"] == "welcome"
        await device.send(json.dumps({"type": "send", "ref": 1, **message_to(ann, "by socket")}))
        types: list[str] = []
        while not {"sent", "entries"} <= set(types):
            types.append(json.loads(await device.recv())["type"])


@pytest.mark.parametrize("site", [SITE, BELOW])
def test_health_and_metrics_are_not_published(front, site):
    with front.http() as http:
        for path in ("/metrics", "/health/live", "/health/ready"):
            assert http.get(front.url(site) + path).status_code == 404


@pytest.mark.parametrize("site", [SITE, BELOW])
def test_the_description_names_no_host_and_works_below_a_path(front, ringpost, site):
    with front.http() as http:
        page = http.get(f"{front.url(site)}/docs")
        assert page.status_code == 200
        assert ringpost.url.partition("//")[2] not in page.text
        assert 'src="/' not in page.text
        assert 'href="/' not in page.text
        description = good(http.get(f"{front.url(site)}/openapi.json"))
        assert [server["url"] for server in description["servers"]] == ["."]
        moved = http.get(f"{front.url(site)}/")
        assert "://" not in moved.headers.get("location", "")


def test_a_body_beyond_what_ringpost_takes_gets_its_answer(front, ann):
    with front.http() as http:
        headers = {"Authorization": f"Bearer {ann.token}"}
        answer = http.post(f"{front.url(SITE)}/v1/messages", content=b" " * 900_000, headers=headers)
    refused(answer, 413, "too_large")


@pytest.mark.parametrize("program", sorted(COMMANDS))
async def test_ringpost_sees_who_the_client_is_and_that_it_came_by_tls(program, certificate, tmp_path):
    """And not what the client wrote itself."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        body = json.dumps([scope["scheme"], scope["client"][0]]).encode()
        await send({"type": "http.response.body", "body": body})

    def ask(api: int) -> Any:
        with (
            fronted(program, tmp_path, api, certificate) as front,
            front.http(local_address="127.0.0.2") as http,
        ):
            forged = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "http"}
            return http.get(f"{front.url(SITE)}/", headers=forged).json()

    async with served(echo, trusted_proxies=["127.0.0.1"]) as api:
        assert await asyncio.to_thread(ask, api) == ["https", "127.0.0.2"]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Takes every name for this machine. One for each test: no event loop may run beside it."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * 127.0.0.1"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("site", [SITE, BELOW])
def test_the_description_opens_in_a_browser_without_a_complaint(front, browser, site):
    with browser.new_context(ignore_https_errors=True) as context:
        page, complaints = context.new_page(), list[str]()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{front.url(site)}/docs")
        expect(page.locator(".opblock").first).to_be_visible(timeout=60_000)
        assert complaints == []


def test_a_page_of_another_origin_calls_the_api_and_reads_its_errors(front, browser, ann):
    fetching = """async ([url, token]) => {
        const answer = await fetch(url, {headers: {Authorization: `Bearer ${token}`}})
        const body = await answer.json()
        return [answer.status, body.error ? body.error.code : ""]
    }"""
    url = f"{front.url(SITE)}/v1/conversations"
    with browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        page.goto(f"{front.url(BELOW)}/openapi.json")
        assert page.evaluate(fetching, [url, ann.token]) == [200, ""]
        assert page.evaluate(fetching, [url, "nobody's"]) == [401, "unauthenticated"]


@pytest.mark.parametrize("program", sorted(COMMANDS))
def test_the_longest_poll_is_not_cut_off(longest_polls, program):
    answer = of(longest_polls, program).result(120)
    assert (answer.status_code, answer.json()["entries"]) == (200, [])


def message_to(person: Person, text: str) -> dict[str, Any]:
    made = message("", text, to=person.user_id)
    del made["conversation_id"]
    return made
