"""The counters that number the messages of a conversation.

A counter knows the last seq handed out and the version of the member list. It may be lost at any
time: it is then restored from the store, and the store's unique index guards what overlaps. One that
outlived a fail-over or a restart of Redis counts as lost, for its version may be too old.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import NamedTuple

from redis.asyncio import Redis

from domain.ids import ConversationId
from infra.redis.client import LuaScript
from infra.redis.keys import Keys


class Numbers(NamedTuple):
    """Consecutive seqs from `first`, handed out when the member list had this version."""

    first: int
    version: int


class Sequence:
    """Raises Unavailable."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._keys = keys
        self._number = LuaScript(client, "number")
        self._restore = LuaScript(client, "restore")
        self._head = LuaScript(client, "head")

    async def take(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers | None]:
        """So many seqs of each conversation, in one round trip; None where the counter is not known."""
        calls = [([self._keys.counter(conversation)], [count]) for conversation, count in wanted]
        replies = await self._number.call_each(calls)
        return [Numbers(*reply) if reply else None for reply in replies]

    async def restore(self, conversation: ConversationId, last_seq: int, version: int) -> int:
        """Teach the counter what the store knows (values only rise); returns the last seq handed out."""
        return int(await self._restore.call([self._keys.counter(conversation)], [last_seq, version]))

    async def heads(self, conversations: Many[ConversationId]) -> list[int]:
        """The last seq handed out in each conversation, 0 where it is not known.

        It may belong to a message that is not stored yet, or never will be.
        """
        calls = [([self._keys.counter(conversation)], ()) for conversation in conversations]
        return [int(head) for head in await self._head.call_each(calls)]
