"""What the page should show, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from tests.api.people import Person
from tests.patience import PATIENCE_S
from tests.web.stage import Stage

Ask = Callable[[str], Person]


async def caught_up(stage: Stage, ask: Ask) -> None:
    """Until both sides show the head of an inbox into which every stored message has come.

    Tests share two users: what an earlier one sent may still be on its way.
    """
    async with asyncio.timeout(PATIENCE_S):
        for side, person in ((stage.ann, ask("ann")), (stage.bob, ask("bob"))):
            while await side.inbox() != times_stored(person):
                await asyncio.sleep(0.05)


async def holds(person: Person, head: int) -> None:
    """Until the inbox ends there."""
    async with asyncio.timeout(PATIENCE_S):
        while person.get("/v1/sync", limit=1)["head"] != head:
            await asyncio.sleep(0.05)


def times_stored(person: Person, text: str = "") -> int:
    """How many messages of theirs have this text, or how many there are."""
    return sum(text in ("", message["body"].get("text")) for message in stored(person))


def stored(person: Person) -> Iterator[Any]:
    """Every message of every conversation. All members must have been there from the beginning."""
    listed = person.get("/v1/conversations", limit=200)
    assert not listed["more"]
    for conversation in listed["conversations"]:
        more, seq = True, 0
        while more:
            path = f"/v1/conversations/{conversation['conversation_id']}/messages"
            page = person.get(path, after=seq, limit=200)
            yield from page["messages"]
            more, seq = page["more"], page["messages"][-1]["seq"] if page["messages"] else seq
