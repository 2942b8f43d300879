"""Who the client is, and how it came, behind a proxy."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.api.served import served


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers what the application knows of its client."""
    await send({"type": "http.response.start", "status": 200})
    body = json.dumps([scope["scheme"], scope["client"][0]]).encode()
    await send({"type": "http.response.body", "body": body})


async def seen(headers: dict[str, str], *proxies: str) -> list[str]:
    async with served(echo, trusted_proxies=proxies) as port, httpx.AsyncClient(trust_env=False) as client:
        return list((await client.get(f"http://127.0.0.1:{port}/", headers=headers)).json())


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8"])
async def test_a_trusted_proxy_says_who_the_client_is_and_how_it_came(proxy):
    assert await seen(FORWARDED, proxy) == ["https", "203.0.113.9"]


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",)])
async def test_what_anybody_else_says_of_it_counts_for_nothing(proxies):
    assert await seen(FORWARDED, *proxies) == ["http", "127.0.0.1"]


async def test_what_the_client_itself_wrote_before_the_proxy_counts_for_nothing():
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 127.0.0.1"}
    assert await seen(headers, "127.0.0.1") == ["http", "203.0.113.9"]


async def test_forwarded_is_not_read_for_a_client_may_have_written_it():
    assert await seen({"Forwarded": "for=198.51.100.1;proto=https"}, "127.0.0.1") == ["http", "127.0.0.1"]
