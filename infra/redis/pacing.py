"""How often a user may signal in a conversation, over all gateways."""

from __future__ import annotations

from domain.ids import ConversationId, UserId
from infra.redis.client import Client
from infra.redis.keys import Keys


class Pacing:
    def __init__(self, client: Client, keys: Keys, every_s: float) -> None:
        self._client = client
        self._keys = keys
        self._every_ms = round(every_s * 1000)

    async def take(self, user: UserId, conversation: ConversationId) -> tuple[bool, int]:
        """Whether the user may signal there now. If so, the next one may come `every_s` later.

        With it comes the version of the conversation's member list as Redis has it; 0 if it has none. One
        round trip. Raises Unavailable.
        """
        first, version = await self._client.run(
            [
                ("SET", self._keys.signalled(user, conversation), b"", "PX", self._every_ms, "NX"),
                ("HGET", self._keys.counter(conversation), "v"),
            ]
        )
        return first is not None, int(version or 0)
