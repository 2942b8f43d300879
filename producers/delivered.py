"""Tells senders of direct conversations how far their messages are on a device of the other one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec
from msgspec import Raw

from domain.changes import Change
from domain.errors import RingpostError
from domain.ids import ConversationId, UserId, other_of, own_id
from domain.own_state import Receipt
from infra.mongo.accounts import AccountStore
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Place
from infra.mongo.timelines import Stretch, TimelineStore
from infra.tasks import run_until
from infra.telemetry.logs import logger
from producers.send import Sender

PAUSE_S = 2.0
"""Seconds between two rounds. Each tells what was acknowledged meanwhile, and the last of it only."""

USERS_AT_ONCE = 200
MOST_LINES = 1_000
"""A device that acknowledges more entries at a time is told of by the newest of them."""

REMEMBERED = 50_000
"""Users who wait. One more is told of with their next acknowledgement."""

_encode = msgspec.json.Encoder().encode


class Delivered:
    """Sends a receipt for the newest message of the other one that a device has acknowledged.

    A round costs three reads and two writes, however many users acknowledged. What a process that died has
    not told, the next acknowledgement of the user tells.
    """

    name = "delivered"

    def __init__(
        self, sender: Sender, accounts: AccountStore, timelines: TimelineStore, messages: MessageStore
    ) -> None:
        self._sender = sender
        self._accounts = accounts
        self._timelines = timelines
        self._messages = messages
        self._due: OrderedDict[UserId, int] = OrderedDict()
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()

    def acknowledged(self, user: UserId, cursor: int) -> None:
        """A device of the user has all entries up to the cursor."""
        if user in self._due or len(self._due) < REMEMBERED:
            self._due[user] = max(cursor, self._due.get(user, 0))
            self._news.set()

    async def run(self) -> None:
        await run_until(self._stopping, self._tell_all())

    def stop(self) -> None:
        self._stopping.set()

    async def _tell_all(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._due:
                await self.step()
            await asyncio.sleep(PAUSE_S)

    async def step(self) -> None:
        """One round. What fails is left to the next acknowledgement of its users."""
        cursors = dict(islice(self._due.items(), USERS_AT_ONCE))
        for user in cursors:
            del self._due[user]
        try:
            await self._tell(cursors)
        except RingpostError as error:
            logger().warning("could not tell what was delivered", error=error.message)

    async def _tell(self, cursors: Mapping[UserId, int]) -> None:
        told = await self._accounts.told(cursors)
        stretches = [
            Stretch(user, max(told.get(user, 0), cursor - MOST_LINES) + 1, cursor)
            for user, cursor in cursors.items()
            if cursor > told.get(user, 0)
        ]
        if not stretches:
            return
        newest = await self._newest(await self._timelines.stretches(stretches))
        await asyncio.gather(*[self._receipt(user, c, seq) for (user, c), seq in newest.items()])
        await self._accounts.set_told({one.user_id: one.high for one in stretches})

    async def _newest(
        self, lines: Iterable[tuple[UserId, Place]]
    ) -> dict[tuple[UserId, ConversationId], int]:
        """Of each user and direct conversation the newest message that the other one sent."""
        theirs = {line for line in lines if other_of(line[0], line[1][0]) not in (None, line[0])}
        documents = await self._messages.documents({place for _, place in theirs}, ["f", "t"])
        newest: dict[tuple[UserId, ConversationId], int] = {}
        for user, place in theirs:
            document = documents.get(place)
            if document is not None and document.get("t") is None and document["f"] != user:
                newest[user, place[0]] = max(place[1], newest.get((user, place[0]), 0))
        return newest

    async def _receipt(self, user: UserId, conversation: ConversationId, seq: int) -> None:
        other = other_of(user, conversation)
        assert other is not None, "only direct conversations are asked for"
        receipt = Receipt(conversation, user, delivered_seq=seq)
        name = f"{conversation}:{user}:delivered:{seq}"
        await self._sender.change(Change("receipt", own_id(other), other, name, 0, Raw(_encode(receipt))))
