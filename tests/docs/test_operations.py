"""docs/path.md says how many operations a change costs: they are counted here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest
from msgspec import Raw
from pymongo.monitoring import CommandListener

from api.sync import Sync
from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter
from domain.events import Delivery
from domain.ids import place_of
from infra.mongo import client as mongo
from infra.mongo.behind import BehindStore
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Place
from infra.mongo.timelines import TimelineStore
from infra.redis.ring import Ring
from infra.settings import MessageSettings
from producers.marks import Marks
from producers.reactions import Reactions
from producers.revise import Revise
from tests.builders import ANN, BOB, Town, draft, open_town, opened_clients, settings_for
from tests.docs.tables import ROOT
from tests.docs.test_tables import rows

WRITES, READS = {"insert", "update", "delete", "findAndModify"}, {"find", "aggregate", "count", "getMore"}
DOCUMENTED = {
    (change, part): tuple(int(number) for number in numbers)
    for change, part, *numbers in rows((ROOT / "docs" / "path.md").read_text(), "change")
}


class Cost(NamedTuple):
    writes: int
    reads: int
    round_trips: int


class Counted(CommandListener):
    """The commands to MongoDB, and the round trips to Redis."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.round_trips = 0

    def started(self, event):
        self.names.append(event.command_name)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    async def of(self, work: Awaitable[Any]) -> tuple[Any, Cost]:
        self.names.clear()
        self.round_trips = 0
        result = await work
        counts = [sum(name in kinds for name in self.names) for kinds in (WRITES, READS)]
        return result, Cost(*counts, self.round_trips)


class Desk(NamedTuple):
    """A town with what changes messages, and the worker inbox, without any service that runs by itself."""

    town: Town
    revise: Revise
    reactions: Reactions
    marks: Marks
    inbox: Inbox
    counted: Counted

    async def arrive(self, place: Place) -> Cost:
        """The worker inbox handles what is stored there."""
        content = (await self.town.path.contents.of([place]))[place]
        delivery = Delivery(*place, (ANN, BOB), Raw(content.carried))

        async def handled() -> None:
            await (await self.inbox.handle([Taken(0, delivery)]))

        return (await self.counted.of(handled()))[1]


@asynccontextmanager
async def opened_desk(settings: Any, counted: Counted) -> AsyncIterator[Desk]:
    async with opened_clients(settings) as clients:
        town = await open_town(clients)
        path, messages = town.path, town.stores.messages
        timelines, ring = (
            TimelineStore(clients.database),
            Ring(clients.redis, town.stores.keys, settings.ring),
        )
        behind = Behind(ring, BehindStore(clients.database), clients.partitions)
        inbox = Inbox(TimelineWriter(timelines), path.contents, ring, behind, clients.publisher)
        for user in (ANN, BOB):
            await Sync(ring, timelines, path.contents).pull(user, 0, 1)
        yield Desk(
            town,
            Revise(path.sender, path.reading, messages, path.membership, MessageSettings()),
            Reactions(messages, path.reading, path.membership, path.conflated),
            Marks(path.sender, path.reading, path.unread),
            inbox,
            counted,
        )


@pytest.fixture
async def desk(engines, unique, monkeypatch) -> AsyncIterator[Desk]:
    counted = Counted()
    monkeypatch.setattr(mongo, "AsyncMongoClient", partial(mongo.AsyncMongoClient, event_listeners=[counted]))
    settings = settings_for(engines, unique, mongo={"driver": "pymongo"})
    async with opened_desk(settings, counted) as desk:
        link = desk.town.clients.redis.link
        run = link.run

        async def counting(commands: Any) -> Any:
            counted.round_trips += 1
            return await run(commands)

        monkeypatch.setattr(link, "run", counting)
        yield desk


async def test_costs_are_those_of_the_table(desk):
    """In a direct conversation and in a group, after each counter and member list was used once."""
    town, found = desk.town, {}
    for kind, conversation in (("direct", await town.direct()), ("group", await town.group(ANN, BOB))):
        await town.send(draft(conversation, ANN, "warm"))
        await desk.marks.mark_unread(BOB, conversation)
        await desk.marks.read(BOB, conversation, 1)
        outcome, cost = await desk.counted.of(town.send(draft(conversation, ANN, "hello")))
        found[f"message, {kind}", "API"] = cost
        name = outcome.sent.message_id
        place = place_of(name)
        found["message", "inbox"] = await desk.arrive(place)
        edit = desk.revise.edit(ANN, name, "e", Raw(b'{"text":"better"}'), None)
        document, found[f"edit, {kind}", "API"] = await desk.counted.of(edit)
        found["edit", "inbox"] = await desk.arrive((place[0], document["e"]["r"]))
        _, found["reaction", "API"] = await desk.counted.of(desk.reactions.put(BOB, name, "👍"))
        _, cost = await desk.counted.of(town.path.conflated.step())
        found[f"record of reactions, {kind}", "API"] = cost
        now = (await MessageStore(town.clients.database).documents([place], ["a"]))[place]
        found["record of reactions", "inbox"] = await desk.arrive((place[0], now["a"]["r"]))
        _, found[f"read mark, {kind}", "API"] = await desk.counted.of(
            desk.marks.read(BOB, conversation, place[1])
        )
    assert found == DOCUMENTED
