"""The page at /docs in Chromium: authorize, try each call, read the answers; also below another path."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

from tests.api.description.proxy import below
from tests.api.description.reader import Call, calls
from tests.api.people import Server
from tests.docs.running import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 60_000
PICTURES = os.environ.get("RINGPOST_TEST_PICTURES", "")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def town(engines, tmp_path_factory):
    """A Ringpost that nobody has used, apart from ann's phone."""
    folder = tmp_path_factory.mktemp("page")
    with (
        running(engines, folder.name.replace("-", ""), folder) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as http,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        yield server, server.person("ann").token


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Docs:
    """The page, open; `complaints` is what the console says, and what the page asks of elsewhere."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.complaints: list[str] = []
        self._base = base
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(f"{base}/docs")
        expect(self.page.locator(".opblock").first).to_be_visible(timeout=PATIENCE_MS)

    def _console(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._base}/", "data:")):
            self.complaints.append(f"asks {request.url}")

    def authorize(self, secrets: dict[str, str]) -> None:
        self.page.locator(".scheme-container .btn.authorize").click()
        for name, secret in secrets.items():
            container = self.page.locator(".auth-container").filter(has_text=f"{name} (http, Bearer)")
            container.locator("input").fill(secret)
            container.get_by_role("button", name="Apply credentials").click()
        self.picture("authorize")
        self.page.locator(".modal-ux .close-modal").click()

    def execute(self, call: Call) -> str:
        """Opens the call, sends it as it is filled in, and gives the status of the answer."""
        block = self.block(call)
        block.locator(".opblock-summary-control").click()
        block.locator(".btn.execute").click()
        status = block.locator(".live-responses-table .response-col_status").last
        expect(status).to_have_text(re.compile(r"^\d{3}"), timeout=PATIENCE_MS)
        said = status.inner_text()[:3]
        self.picture(call.operation["operationId"])
        block.locator(".opblock-summary-control").click()
        return said

    def block(self, call: Call) -> Locator:
        tag = call.operation["tags"][0].replace(" ", "_")
        return self.page.locator(f"#operations-{tag}-{call.operation['operationId']}")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"docs-{name}.png")


def test_each_call_succeeds_as_the_page_fills_it_in(town, browser):
    server, token = town
    docs = Docs(browser, server.url)
    docs.picture("top")
    docs.authorize({"admin_key": server.admin_key, "device_token": token})
    page = calls(server.http.get("/openapi.json").json())
    statuses = {call.name: docs.execute(call) for call in page}
    assert statuses["POST /v1/messages"] == "201"
    assert {name: status for name, status in statuses.items() if not status.startswith("2")} == {}
    assert not docs.complaints
    docs.page.close()


def test_the_page_works_below_another_path(town, browser):
    server, token = town
    with below("/chat", server.url) as base:
        docs = Docs(browser, base)
        docs.authorize({"device_token": token})
        (listing,) = [
            c for c in calls(httpx.get(f"{base}/openapi.json").json()) if c.name == "GET /v1/conversations"
        ]
        assert docs.execute(listing) == "200"
        assert not docs.complaints
        docs.page.close()
        assert httpx.get(f"{base}/", follow_redirects=False).headers.get("location", "docs") == "docs"


def test_the_page_names_no_host_and_can_be_read_on_a_phone(town, browser):
    server, _ = town
    docs = Docs(browser, server.url)
    docs.page.set_viewport_size({"width": 390, "height": 844})
    docs.picture("phone")
    wide = docs.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"the page is {wide} px wide on a phone"
    assert "http" not in httpx.get(f"{server.url}/docs").text
    docs.page.close()
