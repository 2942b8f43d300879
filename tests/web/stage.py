"""The page at `/` in a browser: what a person does there, and what they see."""

from __future__ import annotations

import secrets
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.patience import PATIENCE_S

expect.set_options(timeout=1000 * PATIENCE_S)

SHOWN = 200
"""How many entries of the past a fresh page shows."""

LOOKED_AT = "document.hasFocus = () => window.looked"
"""A browser without a screen says that each of its pages has the focus. Here a test says it."""


class Pane:
    """One side of the page: `ann` or `bob`."""

    def __init__(self, page: Page, user: str) -> None:
        self.pane = page.locator(f".pane.{user}")
        self.link = self.pane.locator(".link")
        self.switch = self.pane.get_by_role("switch")
        self.box = self.pane.get_by_role("textbox")
        self.log = self.pane.get_by_role("log")
        self.note = self.pane.locator(".note span")
        self.unread = self.pane.locator(".unread")
        self.messages = self.log.locator("li:has(.text)")

    async def write(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    def message(self, text: str) -> Locator:
        return self.messages.filter(has_text=text)

    def numbered(self, seq: int) -> Locator:
        """The message at this place of the conversation, whatever it says now."""
        return self.log.locator(f'li[data-seq="{seq}"]')

    async def inbox(self) -> int:
        """The number in the header: the newest entry that this device has."""
        return int(await self.pane.locator(".inbox b").inner_text())

    async def numbers(self, text: str) -> tuple[int, int]:
        """Of the message with this text: its place in the conversation, and in the inbox of this side."""
        meta = self.message(text).locator(".meta")
        await expect(meta).to_contain_text("Inbox")
        place, entry = (await meta.locator(":scope > *").all_inner_texts())[:2]
        return int(place.removeprefix("#")), int(entry.removeprefix("Inbox "))

    async def off(self) -> None:
        await self.switch.click()
        await expect(self.link).to_have_text("Offline")

    async def on(self) -> None:
        await self.switch.click()
        await self.is_on()

    async def is_on(self) -> None:
        await expect(self.pane).to_have_attribute("data-link", "on")


class Stage:
    """An open page. `faults` are the errors of its console and what it asked of anybody else."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.ann, self.bob = Pane(page, "ann"), Pane(page, "bob")
        self.faults: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._on_request)

    async def open(self) -> None:
        await self.page.goto(self.url)
        await self.online()

    async def online(self) -> None:
        await self.ann.is_on()
        await self.bob.is_on()

    async def look(self, *, looked: bool = True) -> None:
        """A person turns to the page, or away from it."""
        await self.page.evaluate(
            "(looked) => { window.looked = looked; dispatchEvent(new Event(looked ? 'focus' : 'blur')); }",
            looked,
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.url}/"):
            self.faults.append(f"a request to {request.url}")


async def opened(context: BrowserContext, url: str, *, looked: bool = False) -> Stage:
    """A page in this window. Unless it is looked at, nothing counts as read there."""
    stage = Stage(await context.new_page(), url)
    await stage.page.add_init_script(f"window.looked = {str(looked).lower()}; {LOOKED_AT}")
    await stage.open()
    return stage


def fresh(text: str) -> str:
    """A text that no other test wrote: all of them share one conversation."""
    return f"{text} {secrets.token_hex(4)}"


def named(context: dict[str, Any]) -> dict[str, Any]:
    """What a browser window is unless a test says otherwise."""
    return {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-US",
        "reduced_motion": "reduce",
    } | context
