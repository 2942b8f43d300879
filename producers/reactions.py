"""Reactions: each is stored at once, and told soon."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from domain.clock import now_ms
from domain.errors import Conflict, Overloaded
from domain.ids import UserId, place_of
from domain.reactions import checked_key, with_reaction, without_reaction
from domain.registers import Reactors
from infra.mongo.messages import MessageStore
from infra.mongo.registers import reacted, registers_of
from producers.conflated import Conflated
from producers.membership import Membership
from producers.reading import FIELDS, Reading

TRIES = 20
"""Others may react at the same moment. Each try reads the message again."""


@dataclass(frozen=True)
class Reactions:
    """A reaction is durable when a verb returns. The members are told by a record that `Conflated` sends.

    Raises NotFound for a message that the caller cannot read, and Forbidden for who is no member any more.
    Raises Conflict for a recalled message, and for a limit that is reached. Raises BadRequest for a key that
    is no reaction. Raises Overloaded, Unavailable.
    """

    _messages: MessageStore
    _reading: Reading
    _membership: Membership
    _conflated: Conflated

    async def put(self, caller: UserId, message_id: str, key: str) -> Reactors:
        """All reactions to the message afterwards."""
        checked_key(key)
        return await self._change(caller, message_id, lambda given: with_reaction(given, caller, key))

    async def remove(self, caller: UserId, message_id: str, key: str) -> Reactors:
        """All reactions to the message afterwards. Removes nothing if the caller has not reacted so."""
        checked_key(key)
        return await self._change(caller, message_id, lambda given: without_reaction(given, caller, key))

    async def _change(
        self, caller: UserId, message_id: str, changed: Callable[[Reactors], Reactors]
    ) -> Reactors:
        document, _ = await self._reading.message(caller, message_id)
        place = place_of(message_id)
        await self._membership.with_member(caller, place[0])
        for attempt in range(TRIES):
            registers = registers_of(document)
            if registers.recall is not None:
                raise Conflict("The message was recalled.", "message_id")
            given = registers.reactions.by_key if registers.reactions else ()
            now = changed(given)
            if list(now) == list(given):
                if "ad" in document:  # an earlier try was stored, and perhaps not told
                    self._conflated.changed(place)
                return now
            version = (document.get("a") or {}).get("v", 0)
            if await self._messages.change(*reacted(place, version, now, now_ms())):
                self._conflated.changed(place)
                return now
            await asyncio.sleep(random.uniform(0, 0.005 * attempt))
            document = (await self._messages.documents([place], FIELDS))[place]
        raise Overloaded("Too many react to this message at the same moment.")
