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
    """Until both sides show the head of an inbox into which everything has come.

    Tests share two users: what an earlier one sent or read may still be on its way.
    """
    ann, bob = ask("ann"), ask("bob")
    async with asyncio.timeout(PATIENCE_S):
        for side, person, other in ((stage.ann, ann, bob), (stage.bob, bob, ann)):
            while not came(person, other) or await side.inbox() != head(person):
                await asyncio.sleep(0.05)


def came(person: Person, other: Person) -> bool:
    """Whether the inbox has every message, the read mark, and that of the other one."""
    direct, found = person.direct(other), list(inbox(person))
    messages = {entry["message"]["message_id"] for entry in found if entry["type"] == "message"}
    marks = {
        type_: max(
            (entry[type_].get("read_seq", 0) for entry in found if about(entry, type_) == direct), default=0
        )
        for type_ in ("read", "receipt")
    }
    return (
        {message["message_id"] for message in stored(person)} <= messages
        and marks["read"] == read_seq(person, direct)
        and marks["receipt"] == read_seq(other, direct)
    )


def about(entry: Any, type_: str) -> str | None:
    """The conversation that an entry of this type names."""
    return entry[type_]["conversation_id"] if entry["type"] == type_ else None


def inbox(person: Person) -> Iterator[Any]:
    """Every entry that there is."""
    page = {"cursor": 0, "more": True}
    while page["more"]:
        page = person.get("/v1/sync", cursor=page["cursor"], limit=200)
        yield from page["entries"]


def head(person: Person) -> int:
    return int(person.get("/v1/sync", limit=1)["head"])


def read_seq(person: Person, conversation: str) -> int:
    return int(person.get(f"/v1/conversations/{conversation}")["me"]["read_seq"])


async def holds(person: Person, number: int) -> None:
    """Until the inbox ends there."""
    async with asyncio.timeout(PATIENCE_S):
        while head(person) != number:
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
