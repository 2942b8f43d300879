"""Signals of clients, such as typing: to the members who are connected, and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec import Raw

from api.gateway.attendant import Attendant
from api.gateway.frames import Say, frame
from api.gateway.hub import Hub
from api.gateway.session import Session
from domain.conversations import Members
from domain.errors import Forbidden, Unavailable
from domain.ids import ConversationId, UserId
from domain.signals import EVERY_S, MOST_MEMBERS, checked_data
from infra.redis.pacing import Pacing
from infra.redis.presence import Presence
from infra.redis.signals import News, Said, Signals
from infra.telemetry.names import SIGNALS
from producers.membership import Membership

PACED = 10_000
"""Pairs of user and conversation of which a gateway remembers when they signalled. Redis knows the others."""


@dataclass(frozen=True)
class Signalling(Attendant):
    """Takes signals from sessions, and hands those of others to the sessions of this gateway.

    A signal costs two round trips to Redis. The first asks for the pace, for the version of the member list
    and for where the members are. The second tells the other gateways, and is left out if there are none.
    MongoDB is read for a conversation that this process does not know, or whose members have changed.

    No message waits for a signal, and no signal is kept. It is lost without Redis, and for a session that is
    behind.
    """

    _hub: Hub
    _presence: Presence
    _signals: Signals
    _pacing: Pacing
    _membership: Membership
    _passed_at: OrderedDict[tuple[UserId, ConversationId], float] = field(default_factory=OrderedDict)

    async def say(self, session: Session, asked: Say) -> None:
        """Pass a signal on, or drop it if it comes too soon or goes to too many.

        Raises BadRequest, TooLarge, Forbidden, NotFound, Unavailable.
        """
        user, conversation = session.device.user_id, asked.conversation_id
        data = checked_data(asked.data)
        members = await self._members(user, conversation)
        if self._too_soon(user, conversation):
            SIGNALS.labels("too_soon").inc()
            return
        outcome = "lost"
        with suppress(Unavailable):
            outcome = await self._pass(session, members, _frame(user, asked, data))
        SIGNALS.labels(outcome).inc()

    def heard(self, news: Sequence[News]) -> None:
        for item in news:
            if isinstance(item, Said):
                self._hand_out(item.to, item.origin, item.frame)

    def _too_soon(self, user: UserId, conversation: ConversationId) -> bool:
        """What this process knows itself, so that a flood does not reach Redis."""
        now, passed_at = time.monotonic(), self._passed_at
        while passed_at and (len(passed_at) > PACED or next(iter(passed_at.values())) <= now - EVERY_S):
            passed_at.popitem(last=False)
        if (user, conversation) in passed_at:
            return True
        passed_at[user, conversation] = now
        return False

    async def _members(self, user: UserId, conversation: ConversationId) -> Members:
        members = self._membership.known(conversation, 0)
        if members is None or not members.has(user):
            members = await self._membership.seen_by(user, conversation)
        return _with_sender(members, user)

    async def _pass(self, session: Session, members: Members, signal: bytes) -> str:
        """What became of the signal. Raises Forbidden, Unavailable."""
        user, conversation = session.device.user_id, members.conversation_id
        users = _few(members)
        (first, version), places = await asyncio.gather(
            self._pacing.take(user, conversation), self._presence.places(users)
        )
        if not first:
            return "too_soon"
        if version > members.version:
            users = _few(_with_sender(await self._membership.newest(conversation), user))
            places = await self._presence.places(users)
        if not users:
            return "too_many"
        self._hand_out(users, session.session_id, signal)
        by_gateway: dict[str, list[UserId]] = {}
        for member, found in zip(users, places, strict=True):
            for gateway in {place.gateway_id for place in found} - {self._hub.gateway_id}:
                by_gateway.setdefault(gateway, []).append(member)
        await self._signals.tell(
            {gateway: [Said(to, session.session_id, signal)] for gateway, to in by_gateway.items()}
        )
        return "passed"

    def _hand_out(self, users: Iterable[UserId], origin: str, signal: bytes) -> None:
        for user in users:
            for session in self._hub.sessions_of(user):
                if session.session_id != origin:
                    session.offer(signal)


def _few(members: Members) -> list[UserId]:
    """The members of now; nobody if they are too many."""
    present = [member.user_id for member in members.present]
    return present if len(present) <= MOST_MEMBERS else []


def _with_sender(members: Members, user: UserId) -> Members:
    """The list, of which the sender is one. Raises Forbidden."""
    if not members.has(user):
        raise Forbidden("You are no longer a member of this conversation.", "conversation_id")
    return members


def _frame(user: UserId, asked: Say, data: Raw | None) -> bytes:
    fields = {"conversation_id": asked.conversation_id, "user_id": user, "signal": asked.signal}
    return frame("signal", None, **fields, **({} if data is None else {"data": data}))
