"""The user's newest conversations, so that the first page of their list costs what it shows.

A Redis sorted set of bounded size. It knows a part of the timeline without a gap, from `since` (not included)
to `upto`: every conversation that has a message there, with the inbox seq of its newest one, or a higher seq.
Lines of a timeline never change, so what it says of that part stays true however old it is. It may be behind
or lost, and whoever reads it asks the timeline where that ends. So nobody needs a claim to write it.

A reader makes it. The script that appends to the ring keeps it up to date while it exists. A set of another
generation counts as lost (`lua/generation.lua`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domain.ids import ConversationId, UserId
from infra.redis.client import Client
from infra.redis.keys import Keys

MOST_RECENT = 200
"""The most conversations in a set. Those with the oldest activity go, and `since` rises."""

_SINCE, _UPTO = b"<", b">"


class Known(NamedTuple):
    """What is known of a timeline: all conversations that have a message in `since < inbox seq <= upto`.

    The inbox seq of each is that of its newest message, or a higher one up to `upto`.
    """

    since: int
    upto: int
    newest: Mapping[ConversationId, int]


class Recent:
    """The sets of all users. Raises Unavailable."""

    def __init__(self, client: Client, keys: Keys, idle_ttl_s: int) -> None:
        self._client = client
        self._keys = keys
        self._idle_ttl_s = idle_ttl_s

    async def read(self, user: UserId) -> Known | None:
        """None if there is no set."""
        reply = await self._client.call("read_recent", [self._keys.recent(user)], [self._idle_ttl_s])
        if reply is None:
            return None
        scores = {member: int(score) for member, score in zip(reply[::2], reply[1::2], strict=True)}
        since = next(score for member, score in scores.items() if member[:1] == _SINCE)
        upto = next(score for member, score in scores.items() if member[:1] == _UPTO)
        newest = {
            ConversationId(member.decode()): score
            for member, score in scores.items()
            if member[:1] not in (_SINCE, _UPTO)
        }
        return Known(since, upto, newest)

    async def keep(self, user: UserId, known: Known) -> None:
        """Add this to the set, or make the set of it. The newest `MOST_RECENT` conversations stay.

        If the set and this leave a gap between them, the newer of the two stays alone.
        """
        pairs = [part for pair in known.newest.items() for part in pair]
        args = (MOST_RECENT, self._idle_ttl_s, known.since, known.upto, *pairs)
        await self._client.call("keep_recent", [self._keys.recent(user)], args)
