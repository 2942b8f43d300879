"""The page at `/docs` in Chromium: authorize, try each call, read the answers; also below another path."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.api.description.reader import calls
from tests.docs.running import Running, running
from tests.web.conftest import asking
from tests.web.docs import PHONE, opened
from tests.web.proxy import below
from tests.web.truth import Ask

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.same_on_all_engines,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def ringpost(engines, tmp_path_factory) -> Iterator[Running]:
    """One that no other test has used: the examples name the first messages of ann and bob."""
    with running(engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("docs")) as ringpost:
        yield ringpost


@pytest.fixture(scope="module")
def ask(ringpost: Running) -> Iterator[Ask]:
    with asking(ringpost) as ask:
        yield ask


def described(base: str):
    return calls(httpx.get(f"{base}/openapi.json").raise_for_status().json())


def location(base: str) -> str:
    """Where the root leads to."""
    return httpx.get(f"{base}/").headers["location"]


async def test_each_call_succeeds_as_the_page_fills_it_in(ringpost, ask, browser):
    token = ask("ann").token
    docs = await opened(browser, ringpost.url)
    await docs.authorize({"admin_key": ringpost.admin_key, "device_token": token})
    statuses = {call.name: await docs.execute(call) for call in described(ringpost.url)}
    assert statuses["POST /v1/messages"] == "201"
    assert {name: status for name, status in statuses.items() if not status.startswith("2")} == {}
    assert not docs.faults
    await docs.page.close()


async def test_the_page_works_below_another_path(ringpost, ask, browser):
    token = ask("ann").token
    with below("/chat", ringpost.url) as base:
        docs = await opened(browser, base)
        await docs.authorize({"device_token": token})
        (listing,) = [call for call in described(base) if call.name == "GET /v1/conversations"]
        assert await docs.execute(listing) == "200"
        assert not docs.faults
        await docs.page.close()
        assert location(base) == "docs"


async def test_the_page_fits_a_phone(ringpost, browser):
    docs = await opened(browser, ringpost.url, viewport=PHONE)
    wide = await docs.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    assert not docs.faults
    await docs.page.close()
