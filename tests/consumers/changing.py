"""One conversation whose messages and changes a test stores, settles and delivers by itself, in any order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Raw

from api.sync import Sync
from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter
from domain.changes import Change, Edited
from domain.conversations import Member, Members, Window
from domain.entries import Entry
from domain.events import DELIVERY_RECORDS, Delivery
from domain.ids import UserId, new_group_id
from infra.kafka.topics import DELIVERIES
from infra.mongo.behind import BehindStore
from infra.mongo.messages import Stored
from infra.mongo.registers import reacted
from infra.redis.ring import Ring
from producers.records import Spreadable, records_of
from producers.wiring import Clients
from tests.builders import PARTITIONS, stored, stored_change, stores_on
from tests.replica import Replica, shown

_numbers = itertools.count(1)
TEXT, EDITED = "text 1", "text 1 edited"
"""The first message says this, and after its edits it begins so."""


class Halting(Ring):
    """The real ring. Something else may happen before one of its steps, once."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._meanwhile: dict[str, Callable[[], Awaitable[None]]] = {}

    @asynccontextmanager
    async def before(self, step: str, event: Callable[[], Awaitable[None]]):
        self._meanwhile = {step: event}
        yield
        assert not self._meanwhile, f"{step} was never reached"

    async def _happen(self, step: str) -> None:
        if event := self._meanwhile.pop(step, None):
            await event()

    async def append(self, runs):
        await self._happen("append")
        return await super().append(runs)

    async def replace(self, replaced):
        await self._happen("replace")
        await super().replace(replaced)

    async def fill(self, user, token, after, entries):
        await self._happen("fill")
        return await super().fill(user, token, after, entries)


class Changing:
    """Every process that it makes is its own: an inbox remembers nothing of another."""

    def __init__(self, clients: Clients) -> None:
        self.clients, self.stores = clients, stores_on(clients)
        number = next(_numbers)
        self.conversation = new_group_id()
        self.users = self.ann, self.bob = UserId(f"ann{number}"), UserId(f"bob{number}")
        self.ring = self.new_ring()
        self.behind = Behind(self.ring, BehindStore(self.stores.database), PARTITIONS)
        self.sync = Sync(self.ring, self.stores.timelines, self.stores.contents)

    def new_ring(self) -> Halting:
        return Halting(self.stores.redis, self.stores.keys, self.clients.settings.ring)

    def inbox(self, ring: Ring | None = None) -> Inbox:
        ring = ring or self.ring
        writer = TimelineWriter(self.stores.timelines)
        return Inbox(writer, self.stores.contents, ring, self.behind, self.clients.publisher)

    # ------------------------------------------------------------ what is stored

    async def sent(self, seq: int, *to: UserId) -> Taken[Delivery]:
        """A message, stored, and its record."""
        one = stored(self.conversation, seq)
        await self.stores.messages.insert([one])
        return _record(one, one.message, to or self.users)

    async def stored(self, type_: Any, seq: int, target: int = 1, value: Any = None) -> Stored:
        """A change, stored, without effect yet. An edit gives the text `EDITED` and its seq."""
        if type_ == "edit":
            value = Edited(Raw(json.dumps({"text": f"{EDITED} {seq}"}).encode()))
        encoded = Raw(b"null") if value is None else Raw(msgspec.json.encode(value))
        change = Change(type_, self.conversation, self.ann, f"n{seq}", target, encoded)
        made = stored_change(change, seq)
        await self.stores.messages.insert([made])
        return made

    async def settled(self, one: Stored) -> Taken[Delivery]:
        """The change takes effect; its record, with what its entries carry now."""
        place = (one.conversation_id, one.seq)
        carried = (await self.stores.changes.settle([one]))[place].carried
        return _record(one, carried, self.users)

    async def changed(self, type_: Any, seq: int, target: int = 1, value: Any = None) -> Taken[Delivery]:
        return await self.settled(await self.stored(type_, seq, target, value))

    async def react(self, key: str) -> None:
        """Ann reacts to the first message. No record tells it yet."""
        where, change = reacted((self.conversation, 1), 0, [(key, [self.ann])], 1)
        assert await self.stores.messages.change(where, change)

    async def spread(self, one: Stored, left: tuple[UserId, int]) -> list[Taken[Delivery]]:
        """The change takes effect; its records as the send path makes them. This user left at this seq."""
        place = (one.conversation_id, one.seq)
        content = (await self.stores.changes.settle([one]))[place]
        stays = {user: (Window(1, left[1]) if user == left[0] else Window(1),) for user in self.users}
        members = Members(self.conversation, 1, {u: Member(u, "member", stay) for u, stay in stays.items()})
        records = records_of([Spreadable(members, one.seq, content.carried, content.target)], 1)
        return [
            Taken(0, delivery)
            for record in records
            if record.topic == DELIVERIES
            for delivery in DELIVERY_RECORDS.decode(record.value)
            if isinstance(delivery, Delivery)
        ]

    # ------------------------------------------------------------ what is delivered

    async def deliver(self, *batch: Taken[Delivery], inbox: Inbox | None = None) -> None:
        await (await (inbox or self.inbox()).handle(batch))

    async def open_rings(self, *users: UserId) -> None:
        """As devices do that pull."""
        for user in users or self.users:
            await self.pulled(user)

    async def drop_rings_that_are_behind(self) -> None:
        """As the inbox does once Redis is back."""
        await self.behind.step()

    async def empty_redis(self) -> None:
        for user in self.users:
            await self.stores.redis.delete(self.stores.keys.ring(user), self.stores.keys.filling(user))

    # ------------------------------------------------------------ what is seen

    async def pulled(self, user: UserId) -> list[dict[str, Any]]:
        """Everything from cursor 0."""
        entries: list[Entry] = []
        more = True
        while more:
            page = await self.sync.pull(user, len(entries), 100)
            entries += page.entries
            more = page.more
        return [_entry(one) for one in entries]

    async def in_ring(self, user: UserId) -> bytes:
        return b"".join(await self.stores.redis.lrange(self.stores.keys.ring(user), 0, -1))

    async def nowhere(self, text: str = TEXT) -> None:
        """No ring and no pull has the text, before the ring is rebuilt and after it."""
        for user in self.users:
            assert text.encode() not in await self.in_ring(user)
            assert text not in json.dumps(await self.pulled(user))
            assert text.encode() not in await self.in_ring(user)

    async def shown(self) -> dict[str, dict[str, Any]]:
        """The message on the device of each user that pulls from 0, and on one that has it from the store."""
        found = {}
        for user in self.users:
            found[f"{user} by the ring"] = self._shown(user, await self.pulled(user))
            await self.empty_redis()
            found[f"{user} by the store"] = self._shown(user, await self.pulled(user))
        return found

    def _shown(self, user: UserId, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        replica = Replica(user)
        for entry in entries:
            replica.take(entry["type"], entry[entry["type"]])
        return replica.history(self.conversation)[f"{self.conversation}:1"]

    async def truth(self) -> dict[str, Any]:
        """The message as a read answers it."""
        place = (self.conversation, 1)
        return shown(json.loads((await self.stores.contents.of([place]))[place].carried))


def _entry(one: Entry) -> dict[str, Any]:
    value = json.loads(one.message)
    return {"type": "message", "message": value} if "type" not in value else value


def _record(one: Stored, carried: bytes, to: Sequence[UserId]) -> Taken[Delivery]:
    return Taken(0, Delivery(one.conversation_id, one.seq, tuple(to), Raw(carried)))
