"""The page at `/docs` in a browser: what a person does there, and what they see."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.api.description.reader import Call

PATIENCE_MS = 60_000
PICTURES = os.environ.get("RINGPOST_TEST_PICTURES", "")
AT_ONCE = "*, *::before, *::after {animation: none !important; transition: none !important}"
"""A style by which nothing moves. Chromium would draw each step, and clicks would wait for the last one."""
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


class Docs:
    """An open page. `faults` are the errors of its console, and what it asks of anybody else."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.faults: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.base}/", "data:")):
            self.faults.append(f"asks {request.url}")

    async def authorize(self, secrets: dict[str, str]) -> None:
        """Each secret goes where its name stands in the dialog."""
        await self.page.locator(".scheme-container .btn.authorize").click()
        for name, secret in secrets.items():
            container = self.page.locator(".auth-container").filter(has_text=f"{name} (http, Bearer)")
            await container.locator("input").fill(secret)
            await container.get_by_role("button", name="Apply credentials").click()
        await self.picture("authorize")
        await self.page.locator(".modal-ux .close-modal").click()

    async def execute(self, call: Call) -> str:
        """Opens the call, sends it as it is filled in, and gives the status of the answer."""
        block = self.block(call)
        await block.locator(".opblock-summary-control").click()
        await block.locator(".btn.execute").click()
        statuses = block.locator(".live-responses-table .response-col_status")
        said = (await statuses.filter(has_text=re.compile(r"^\d{3}")).inner_text())[:3]
        await self.picture(call.operation["operationId"])
        await block.locator(".opblock-summary-control").click()
        return said

    def block(self, call: Call) -> Locator:
        tag = call.operation["tags"][0].replace(" ", "_")
        return self.page.locator(f"#operations-{tag}-{call.operation['operationId']}")

    async def picture(self, name: str) -> None:
        if PICTURES:
            await self.page.screenshot(path=Path(PICTURES) / f"docs-{name}.png")


async def opened(browser: Browser, base: str, **context: Any) -> Docs:
    """In a new profile of the browser, with the calls visible."""
    page = await browser.new_page(**({"viewport": DESK} | context))
    page.set_default_timeout(PATIENCE_MS)
    docs = Docs(page, base)
    await page.goto(f"{base}/docs")
    await page.add_style_tag(content=AT_ONCE)
    await expect(page.locator(".opblock").first).to_be_visible(timeout=PATIENCE_MS)
    await docs.picture("top" if context == {} else "phone")
    return docs
