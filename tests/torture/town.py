"""The people of the plan on a running Ringpost: users, tokens, conversations, and calls on their behalf."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import httpx

from benchmarks.wire import Http
from tests.patience import PATIENCE_S
from tests.system.people import register
from tests.torture.ledger import Ledger
from tests.torture.plan import Person, Plan

AT_ONCE = 8
ANSWER_S = 4.0
"""Who has no answer by then asks elsewhere."""
CONNECTIONS = 300


class NoAnswer(Exception):
    """The connection was refused, broke, or nothing came in time. What was asked for may be done or not."""


class Answer(NamedTuple):
    status: int
    raw: bytes
    body: dict[str, Any]

    @property
    def good(self) -> bool:
        return self.status in (200, 201)

    @property
    def code(self) -> str:
        return str(self.body.get("error", {}).get("code", self.status))

    @property
    def retriable(self) -> bool:
        """The same again, later. An answer that is none of ours counts as none."""
        return bool(self.body.get("error", {"retriable": True})["retriable"])


class Town:
    """Opened by `async with`. APIs are known by their place in the list."""

    def __init__(self, apis: list[str], ledger: Ledger) -> None:
        self.apis = apis
        self.ledger = ledger
        self.tokens: dict[tuple[str, str], str] = {}
        self.conversations: list[str] = []
        self._https = [Http(*address_of(url), CONNECTIONS) for url in apis]

    async def __aenter__(self) -> Town:
        return self

    async def __aexit__(self, *_: object) -> None:
        for http in self._https:
            await http.close()

    async def settle_in(self, plan: Plan) -> dict[str, set[str]]:
        """Make the users and conversations of the plan; conversation id → its first members."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def move_in(person: Person) -> None:
            async with slots:
                names = [device.name for device in person.devices]
                async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
                    tokens = await register(client, self.apis[0], person.user, names)
                self.tokens |= {(person.user, n): t for n, t in zip(names, tokens, strict=True)}

        async def opened(number: int) -> str:
            it = plan.conversations[number]
            owner, *others = it.members
            asked: dict[str, Any] = {"kind": "group", "members": others}
            if it.kind == "direct":
                asked = {"kind": "direct", "with": others[0]}
            async with slots:
                answer = await self.call("POST", 0, "/v1/conversations", self.token(owner), asked, PATIENCE_S)
            if not answer.good:
                raise RuntimeError(f"a conversation was not opened: {answer}")
            return str(answer.body["conversation_id"])

        await asyncio.gather(*map(move_in, plan.people))
        self.conversations = await asyncio.gather(*map(opened, range(len(plan.conversations))))
        return {
            conversation: set(it.members)
            for conversation, it in zip(self.conversations, plan.conversations, strict=True)
        }

    def token(self, user: str, device: str = "phone") -> str:
        return self.tokens[user, device]

    def url(self, api: int) -> str:
        return self.apis[api % len(self.apis)]

    async def call(
        self, method: str, api: int, path: str, token: str, body: Any = None, within_s: float = ANSWER_S
    ) -> Answer:
        """Raises NoAnswer."""
        asked = b"" if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(within_s):
                status, raw = await self._https[api % len(self._https)].call(method, path, token, asked)
            return Answer(status, raw, json.loads(raw))
        except (OSError, TimeoutError) as error:
            raise NoAnswer(type(error).__name__) from None
        except ValueError:
            raise NoAnswer("no JSON") from None


def address_of(url: str) -> tuple[str, int]:
    """`http://127.0.0.1:8080` → host and port."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
