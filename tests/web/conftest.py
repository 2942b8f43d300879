"""One Chromium, one Ringpost with the page for all tests here; a window of its own for each test."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.api.people import Server
from tests.docs.running import Running, running
from tests.web.line import Line
from tests.web.server import StageServer
from tests.web.stage import Stage, named, opened
from tests.web.truth import Ask, caught_up

NAMES = ("chromium", "chromium-browser", "google-chrome")
Open = Callable[..., Awaitable[Stage]]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program. Where there is none the tests are left out, but not in CI."""
    for path in map(shutil.which, NAMES):
        if path is not None:
            return path
    sentence = f"needs Chromium: none of {', '.join(NAMES)} is on the PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def ringpost(engines, tmp_path_factory) -> Iterator[Running]:
    """The API as it runs in production, without the page, and the workers."""
    with running(engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("web")) as ringpost:
        yield ringpost


@pytest.fixture(scope="session")
def server(ringpost, tmp_path_factory) -> Iterator[StageServer]:
    """Beside it, the API as `ringpost up` starts it."""
    server = StageServer(ringpost, tmp_path_factory.mktemp("stage"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def open_stage(browser: Browser, server: StageServer, ask: Ask) -> AsyncIterator[Open]:
    """Opens the page in a new browser profile and waits until both sides show everything that was sent.

    The arguments are Playwright's for a context.

    In the end no page may have had an error in its console, or have asked another server for anything.
    """
    stages: list[Stage] = []
    async with AsyncExitStack() as closing:

        async def make(**context: Any) -> Stage:
            window = await closing.enter_async_context(await browser.new_context(**named(context)))
            stages.append(await opened(window, server.url))
            await caught_up(stages[-1], ask)
            return stages[-1]

        yield make
    assert [fault for stage in stages for fault in stage.faults] == []


@pytest_asyncio.fixture(loop_scope="session")
async def stage(open_stage: Open) -> Stage:
    """The page at the size of a desk."""
    return await open_stage()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest_asyncio.fixture(loop_scope="session")
async def wired(browser: Browser, server: StageServer, line: Line, ask: Ask) -> AsyncIterator[Stage]:
    """The page, with the line to its bob in our hands."""
    async with await browser.new_context(**named({})) as window:
        await window.route_web_socket("**/v1/connect", line.take)
        stage = await opened(window, server.url)
        await caught_up(stage, ask)
        yield stage


@pytest.fixture(scope="session")
def ask(ringpost: Running) -> Iterator[Ask]:
    """Ann or bob with a device of their own, to see over HTTP what the page should show."""
    with asking(ringpost) as ask:
        yield ask


@contextmanager
def asking(ringpost: Running) -> Iterator[Ask]:
    with httpx.Client(base_url=ringpost.url, timeout=70) as http:
        yield lambda user: Server(ringpost.url, ringpost.admin_key, http).person(user, "checker")
