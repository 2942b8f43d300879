"""Numbers for the messages of a conversation: from Redis, and from the message store while Redis is away."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Sequence as Many
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from domain.errors import Unavailable
from domain.ids import ConversationId, is_group
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.redis.sequence import Numbers, Sequence

REMEMBERED = 100_000
RAISED_AT_ONCE = 1_000
WIDEST = 4_096


@dataclass(slots=True)
class _Own:
    """What this process handed out in a conversation without Redis."""

    last: int = 0
    width: int = 1
    """The next numbers begin at one of so many places. Other processes choose among them too."""


class Numbering:
    """Hands out numbers. A number is higher than that of every message stored before the call.

    Two processes may hand out the same number while Redis is away, or after it lost a counter. The store's
    unique index refuses the second. Then call `outrun` and take other numbers. Raises Unavailable when the
    store does not answer.
    """

    def __init__(self, sequence: Sequence, messages: MessageStore, conversations: ConversationStore) -> None:
        self._sequence = sequence
        self._messages = messages
        self._conversations = conversations
        self._own: OrderedDict[ConversationId, _Own] = OrderedDict()

    async def take(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers]:
        """So many consecutive seqs for each conversation."""
        try:
            if self._own:
                await self._catch_up([conversation for conversation, _ in wanted])
            return await self._taken(wanted)
        except Unavailable:
            return await self._from_store(wanted)

    async def outrun(self, conversations: Collection[ConversationId]) -> None:
        """The store refused numbers of these conversations. The next ones will be others."""
        for conversation in conversations:
            if own := self._own.get(conversation):
                own.width = min(own.width * 16, WIDEST)
        with suppress(Unavailable):  # without Redis the next numbers come from the store
            for conversation in conversations:
                await self.restore(conversation)

    async def restore(self, conversation: ConversationId) -> int:
        """Set the counter from the store. Returns the last seq that may have been handed out."""
        newest = await self._messages.last(conversation)
        version, floor = await self._conversations.version_and_floor(conversation)
        last = max(newest, floor)
        return await self._sequence.restore(conversation, last, version)

    async def _taken(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers]:
        taken = await self._sequence.take(wanted)
        for _ in range(3):
            lost = [index for index, numbers in enumerate(taken) if numbers is None]
            if not lost:
                return [numbers for numbers in taken if numbers is not None]
            await asyncio.gather(*(self.restore(wanted[index][0]) for index in lost))
            again = await self._sequence.take([wanted[index] for index in lost])
            for index, numbers in zip(lost, again, strict=True):
                taken[index] = numbers
        raise Unavailable("Redis lost a counter right after it was restored.")

    async def _from_store(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers]:
        """The seqs behind the newest message, the last change of members, and what this process handed out.

        The version is read after the newest seq, so no change of members lies between the two unseen.
        """
        lasts = await self._messages.lasts([conversation for conversation, _ in wanted])
        groups = [conversation for conversation, _ in wanted if is_group(conversation)]
        known = await self._conversations.versions_and_floors(groups) if groups else {}
        numbers = []
        for conversation, count in wanted:
            version, floor = known.get(conversation, (0, 0))
            own = self._own.setdefault(conversation, _Own())
            self._own.move_to_end(conversation)
            behind = max(lasts.get(conversation, 0), floor, own.last)
            first = behind + 1 + count * random.randrange(own.width)
            own.last = first + count - 1
            numbers.append(Numbers(first, version))
        while len(self._own) > REMEMBERED:
            self._own.popitem(last=False)
        return numbers

    async def _catch_up(self, conversations: Many[ConversationId]) -> None:
        """Redis may be back with counters that are behind. Raise these, and some of the others each time.

        Otherwise a counter could hand out a number that was left out meanwhile, below newer messages.
        """
        mine = {c: self._own[c].last for c in conversations if c in self._own}
        mine |= {c: own.last for c, own in islice(self._own.items(), RAISED_AT_ONCE)}
        await self._sequence.raise_to(list(mine.items()))
        for conversation, last in mine.items():
            if (own := self._own.get(conversation)) and own.last == last:
                del self._own[conversation]
