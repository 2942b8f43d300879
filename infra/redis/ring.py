"""The ring inbox: the newest entries of each recently active user's timeline.

A Redis list. Each element is the entry's seq (8 bytes, big endian), the generation of the data (4 bytes) and
the message. Numbers have no gap, so entry *s* stands at a known index. An element without a message marks
the seq at which an empty ring stands. Only the first element can be one.

The generation changes when Redis fails over or starts again (`lua/generation.lua`). A ring of an earlier
generation may lack its newest entries, so the first script that meets it removes it. For some seconds after
that the user gets no ring, until every writer knows the new primary. The same holds for a user who had none:
each process makes no rings for some seconds after it has seen another generation.

A reader makes a ring from the timeline. The inbox consumer keeps it up to date while it exists. So a writer
that is late finds a ring that has its entry already, or no ring.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.entries import Entry, conversation_of
from domain.ids import MAX_SEQ, UserId
from domain.limits import PAGE_BYTES
from infra.redis.client import Client
from infra.redis.keys import Keys, escaped
from infra.redis.recent import MOST_RECENT
from infra.settings import RingSettings

FILL_CLAIM_MS = 10_000
FILL_LIMIT = 1_000
DROPS_AT_ONCE = 1_000
HEADER_BYTES = 12
SETTLE_S = 5.0
"""After a fail-over, until every process knows the new primary. `lua/generation.lua` has it too."""

_seq = struct.Struct(">Q")


class Slice(NamedTuple):
    """The answer of a ring: the seq of its oldest entry (head + 1 if empty), that of its newest, and
    entries.
    """

    oldest: int
    head: int
    entries: list[Entry]


class Ring:
    """The rings of all users. Raises Unavailable."""

    def __init__(self, client: Client, keys: Keys, settings: RingSettings) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings
        self._generation = b""
        self._settled_at = 0.0

    @property
    def fill_limit(self) -> int:
        """How many entries a rebuilt ring is given."""
        return min(self._settings.capacity, FILL_LIMIT)

    async def append(self, runs: Sequence[tuple[UserId, Sequence[Entry]]]) -> dict[UserId, list[str]]:
        """Put each user's consecutive entries at the end of their ring, all in one round trip.

        Entries that a ring has already are ignored. A user without a ring gets none. If the entries do not
        follow the ring's last one, the ring is removed. A ring never holds more than `capacity` entries.
        The same holds for the user's newest conversations (see `Recent`).
        Returns the gateways on which each user has devices now.
        """
        limits = (self._settings.capacity, self._settings.idle_ttl_s, MOST_RECENT)
        calls = []
        # All recipients of a message share its bytes.
        conversations = {
            message: conversation_of(message) for message in {e.message for _, some in runs for e in some}
        }
        for user, entries in runs:
            messages = [entry.message for entry in entries]
            args = (*limits, entries[0].seq, *messages, *(conversations[message] for message in messages))
            calls.append(((*self._names(user), self._keys.online(user), self._keys.recent(user)), args))
        gateways = await self._client.call_each("append", calls)
        return {
            user: [gateway.decode() for gateway in some]
            for (user, _), some in zip(runs, gateways, strict=True)
        }

    async def replace(self, replaced: Sequence[tuple[UserId, Sequence[int], bytes]]) -> None:
        """Give these entries of each user's ring the message as it is now, all in one round trip.

        Entries that the ring does not have are ignored, and so is content that is newer than the message. A
        ring that is being rebuilt is given up.
        """
        calls = [(self._names(user), (message, *seqs)) for user, seqs, message in replaced]
        await self._client.call_each("replace", calls)

    async def drop(self, users: Sequence[UserId]) -> None:
        """Remove rings, and rings that are being rebuilt. Readers rebuild them."""
        for start in range(0, len(users), DROPS_AT_ONCE):
            some = users[start : start + DROPS_AT_ONCE]
            commands = [("DEL", *self._names(user)) for user in some]
            await self._client.run(commands, "Redis refused to remove a ring.")

    async def drop_all(self, chosen: Callable[[UserId], bool]) -> None:
        """Remove the rings of all chosen users, and those that are being rebuilt. It looks at every key.

        A ring is left only if its rebuilding began after this call.
        """
        # First what is being rebuilt: it is removed, or it is a ring by now.
        for name in (self._keys.filling, self._keys.ring):
            before, after = name(UserId("*")).rsplit("*", 1)
            cursor: int | bytes = b""
            while cursor != b"0":
                scan = ("SCAN", cursor or 0, "MATCH", f"{escaped(before)}*{after}", "COUNT", DROPS_AT_ONCE)
                ((cursor, keys),) = await self._client.run([scan], "Redis refused to list rings.")
                users = [UserId(key.decode()[len(before) : -len(after)]) for key in keys]
                await self.drop([user for user in users if chosen(user)])

    async def read(self, user: UserId, cursor: int, limit: int) -> Slice | None:
        """The ring's part of the `limit` entries after the cursor. None if there is no ring.

        Holds the first of them alone if they have more bytes than an answer holds.
        """
        asked = (cursor, limit, self._settings.idle_ttl_s, PAGE_BYTES)
        reply = await self._client.call("read", self._names(user), asked)
        if reply is None:
            return None
        oldest, head, *elements = reply
        return Slice(oldest, head, [Entry(_seq.unpack_from(e)[0], e[HEADER_BYTES:]) for e in elements])

    async def heads(self, users: Sequence[UserId]) -> list[int | None]:
        """The seq of each ring's newest entry, in few round trips. None for a user without a ring."""
        asked = (MAX_SEQ, 0, self._settings.idle_ttl_s, 0)
        replies = await self._client.call_each("read", [(self._names(user), asked) for user in users])
        return [None if reply is None else reply[1] for reply in replies]

    async def begin_fill(self, user: UserId) -> str | None:
        """Claim the rebuilding of a missing ring, before the timeline is read. None if it is not missing.

        None also for `SETTLE_S` after this process has seen Redis fail over or start again.
        """
        if time.monotonic() < self._settled_at:
            return None
        token = secrets.token_hex(8)
        asked = (token, FILL_CLAIM_MS, self._generation)
        generation, claimed = await self._client.call("begin_fill", self._names(user), asked)
        if self._generation not in (b"", generation):
            self._settled_at = time.monotonic() + SETTLE_S
        self._generation = generation
        return token if claimed else None

    async def fill(self, user: UserId, token: str, after: int, entries: Sequence[Entry]) -> bool:
        """Make the ring of the timeline's last entries. They are consecutive, and the first comes right
        after `after`.

        Entries that were appended since the claim are added. False if the claim was lost, or is from before
        a fail-over. Then there is no ring.
        """
        messages = (entry.message for entry in entries)
        args = (token, self._settings.capacity, self._settings.idle_ttl_s, after, *messages)
        return bool(await self._client.call("fill", self._names(user), args))

    def _names(self, user: UserId) -> tuple[str, str]:
        return self._keys.ring(user), self._keys.filling(user)
