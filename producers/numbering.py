"""Numbers for the messages of a conversation. If Redis lost a counter, the store restores it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence as Many

from domain.errors import Unavailable
from domain.ids import ConversationId
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.redis.sequence import Numbers, Sequence
from infra.telemetry.logs import logger


class Numbering:
    """Hands out numbers. They are unique while Redis keeps its counters.

    After a loss, the store's unique index refuses numbers that were used, and `restore` moves the counter
    beyond them. Raises Unavailable when the store does not answer.
    """

    def __init__(self, sequence: Sequence, messages: MessageStore, conversations: ConversationStore) -> None:
        self._sequence = sequence
        self._messages = messages
        self._conversations = conversations

    async def take(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers]:
        """So many consecutive seqs for each conversation. Without Redis they are guessed from the store."""
        try:
            return await self._taken(wanted)
        except Unavailable as error:
            logger().warning("took numbers from MongoDB, not from Redis", error=error.message)
            return list(await asyncio.gather(*(self._guess(conversation) for conversation, _ in wanted)))

    async def _guess(self, conversation: ConversationId) -> Numbers:
        """The seqs after the newest message. Several may guess the same; the store takes only one of them."""
        last, version = await self._known(conversation)
        return Numbers(last + 1, version)

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

    async def restore(self, conversation: ConversationId) -> int:
        """Set the counter from the store. Returns the last seq that may have been handed out."""
        last, version = await self._known(conversation)
        return await self._sequence.restore(conversation, last, version)

    async def _known(self, conversation: ConversationId) -> tuple[int, int]:
        """The last seq that the store knows of, and the version of the member list."""
        newest = await self._messages.last(conversation)
        version, floor = await self._conversations.version_and_floor(conversation)
        return max(newest[0] if newest else 0, floor), version
