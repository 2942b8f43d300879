"""The counters that number the messages of a conversation.

A counter knows the last seq handed out and the version of the member list. It may be lost at any time. Then
the store restores it, and the store's unique index refuses numbers that are used. A counter from before a
fail-over or a restart of Redis counts as lost, because its version may be too old.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import NamedTuple

from domain.ids import ConversationId
from infra.redis.client import Client
from infra.redis.keys import Keys

IDLE_TTL_S = 7 * 24 * 3600
"""A counter that nobody uses for so long is forgotten. Its last number has reached the store long ago."""


class Numbers(NamedTuple):
    """Consecutive seqs from `first`, handed out when the member list had this version."""

    first: int
    version: int


class Sequence:
    """Raises Unavailable."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def take(self, wanted: Many[tuple[ConversationId, int]]) -> list[Numbers | None]:
        """So many seqs of each conversation, in one round trip. None where Redis has no counter."""
        calls = [([self._keys.counter(conversation)], [count, IDLE_TTL_S]) for conversation, count in wanted]
        replies = await self._client.call_each("number", calls)
        return [Numbers(*reply) if reply else None for reply in replies]

    async def restore(self, conversation: ConversationId, last_seq: int, version: int) -> int:
        """Set the counter from the store; values only rise. Returns the last seq handed out."""
        counter = self._keys.counter(conversation)
        return int(await self._client.call("restore", [counter], [last_seq, version, IDLE_TTL_S]))

    async def raise_to(self, lasts: Many[tuple[ConversationId, int]]) -> None:
        """Raise the counters that are behind these seqs. A lost counter stays lost."""
        calls = [([self._keys.counter(conversation)], [last]) for conversation, last in lasts]
        await self._client.call_each("raise", calls)
