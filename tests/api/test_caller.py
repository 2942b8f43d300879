"""Tokens: for how long they are good, and what is remembered of them."""

from __future__ import annotations

import time

import jwt
import pytest

from api.caller import Callers
from domain.devices import Device
from domain.errors import Unauthenticated
from infra.keys import Keys
from tests.builders import until

KEYS = Keys("an admin key", "a token key that is long enough for its algorithm")


@pytest.fixture
def callers():
    return Callers(KEYS, "HS256")


def test_token_names_its_device(callers):
    device = Device("ann", "phone", "mobile")
    assert callers.device(f"Bearer {callers.mint(device, 60).token}") == device


async def test_token_that_was_seen_before_it_expired_is_refused_afterwards(callers):
    token = callers.mint(Device("ann", "phone"), 1).token
    assert callers.device_of_token(token).user_id == "ann"

    def refused() -> bool:
        try:
            callers.device_of_token(token)
        except Unauthenticated as error:
            return "expired" in error.message
        return False

    await until(refused, 3)


@pytest.mark.parametrize("claims", [{"sub": "."}, {"dev": ".."}, {"sub": "a b"}, {"dev": ""}], ids=str)
def test_token_that_names_nobody_who_can_exist_is_refused(callers, claims):
    """Also a token that was minted elsewhere, or before such ids were refused."""
    token = jwt.encode({"sub": "ann", "dev": "phone", "exp": 4_000_000_000} | claims, KEYS.token, "HS256")
    with pytest.raises(Unauthenticated, match="cannot exist"):
        callers.device_of_token(token)


def test_only_so_many_tokens_are_remembered(callers, monkeypatch):
    """I8; those that were forgotten are as good as before."""
    monkeypatch.setattr("api.caller.CACHED_TOKENS", 3)
    tokens = [callers.mint(Device("ann", f"d{number}"), 60).token for number in range(9)]
    decode, checked = jwt.decode, []

    def noting(token, *how, **more):
        checked.append(token)
        return decode(token, *how, **more)

    monkeypatch.setattr(jwt, "decode", noting)
    for token in [*tokens, *tokens, *tokens[6:], *tokens[5:]]:
        callers.device_of_token(token)
    assert checked == [*tokens, *tokens, *tokens[5:]]


def test_token_of_an_api_whose_clock_is_ahead_is_good_everywhere(callers):
    now = int(time.time())
    claims = {"sub": "ann", "dev": "phone", "iat": now + 120, "exp": now + 1000}
    token = jwt.encode(claims, KEYS.token, "HS256")
    assert callers.device_of_token(token) == Device("ann", "phone")
