"""All sessions of this gateway, and all polls that wait here for a user."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from api.gateway.attendant import Attendant
from api.gateway.frames import Close
from api.gateway.heart import Heart
from api.gateway.register import Register, Turn
from api.gateway.session import Session
from api.sync import Sync
from domain.entries import Entry
from domain.errors import Overloaded, RingpostError
from domain.ids import DeviceId, UserId
from infra.redis.presence import Online, Presence
from infra.redis.ring import SETTLE_S
from infra.redis.signals import News, Pushed, Replaced, Signal, Signals
from infra.settings import GatewaySettings
from infra.tasks import ended
from infra.telemetry.logs import logger
from infra.telemetry.names import SOCKETS

TICK_S = 1.0


class Hub:
    """Hands pushes to the sessions, renews their presence, and sends their heartbeats.

    Presence does not wait for heartbeats: each has a loop of its own.
    """

    name = "hub"

    def __init__(self, presence: Presence, signals: Signals, sync: Sync, settings: GatewaySettings) -> None:
        self.gateway_id = secrets.token_hex(6)
        self.settings = settings
        self._presence = presence
        self._signals = signals
        self._register = Register(self.gateway_id, presence, self._turned)
        self._attendants: list[Attendant] = []
        self._heart = Heart(sync, settings.heartbeat_s)
        self._sessions: dict[UserId, dict[str, Session]] = {}
        self._polls: dict[UserId, set[asyncio.Event]] = {}
        self._renewed_at = 0.0
        self._lost = False
        self._settled_at = math.inf
        self._listening: list[asyncio.Task[None]] = []
        self._missed = False
        self._beat_now = asyncio.Event()
        self._stopping = asyncio.Event()

    def attend(self, attendant: Attendant) -> None:
        """From now on it is told what `Attendant` names. Call it before `run`."""
        self._attendants.append(attendant)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._keep_present())
                loops.create_task(self._keep_beating())
        finally:
            self.close_all()
            await ended(self._listening)
            await self._heart.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._beat_now.set()
        self.close_all()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def hears(self) -> bool:
        """Whether pushes reach this gateway. Without Redis they do not, and waiting polls have to look."""
        return not self._lost

    def close_all(self) -> None:
        """Tells every device to come back. Every waiting poll returns."""
        for sessions in list(self._sessions.values()):
            for session in list(sessions.values()):
                session.close(Close.GOING_AWAY)
        self._wake_polls()

    def _wake_polls(self) -> None:
        for polls in self._polls.values():
            for poll in polls:
                poll.set()

    async def join(self, session: Session) -> None:
        """The device is online here until `leave`. Its older connections end (4504).

        Returns once presence is written. Read the head of the inbox after that. The step that puts an entry
        into a ring also tells on which gateways the user is. So the entry is in the ring before we look, or
        it is pushed to us. Without Redis presence is written later, and then every session looks again.

        Raises Overloaded if the user has too many connections here.
        """
        user, device = session.device.user_id, session.device.device_id
        self._replace(user, device, session.session_id)
        # Only now: when the last session of a user ends, `leave` removes the user's dictionary.
        mine = self._sessions.setdefault(user, {})
        if sum(other.device.device_id != device for other in mine.values()) >= self.settings.user_sockets:
            raise Overloaded("This user has too many connections.")
        mine[session.session_id] = session
        self._heart.add(session)
        SOCKETS.inc()
        try:
            places = await self._register.join(_online(session))
            elsewhere = {p.gateway_id for p in places if p.device_id == device} - {self.gateway_id}
            if elsewhere:
                told: list[Signal] = [Replaced(user, device, session.session_id)]
                await self._signals.send(dict.fromkeys(elsewhere, told))
        except RingpostError:
            self._lose()

    def _replace(self, user: UserId, device: DeviceId, newest: str) -> None:
        """End the sessions of a device except the newest."""
        for older in list(self._sessions.get(user, {}).values()):
            if older.device.device_id == device and older.session_id != newest:
                older.close(Close.REPLACED)

    def leave(self, session: Session) -> None:
        """The session ended. It changes nothing if the session has not joined."""
        mine = self._sessions.get(session.device.user_id, {})
        if mine.pop(session.session_id, None) is None:
            return
        if not mine:
            del self._sessions[session.device.user_id]
        SOCKETS.dec()
        self._heart.remove(session)
        self._register.leave(_online(session))
        for attendant in self._attendants:
            attendant.left(session)

    def sessions_of(self, user: UserId) -> Iterable[Session]:
        """The user's sessions here, as of now."""
        return tuple(self._sessions.get(user, {}).values())

    @asynccontextmanager
    async def polling(self, user: UserId) -> AsyncIterator[asyncio.Event]:
        """An event that is set when something arrives for the user, when the gateway stops, and when it hears
        no more. Raises Overloaded if too many polls of the user wait.
        """
        polls = self._polls.setdefault(user, set())
        if len(polls) >= self.settings.user_polls:
            raise Overloaded("Too many polls of this user are waiting.")
        poll, token = asyncio.Event(), secrets.token_hex(4)
        polls.add(poll)
        place = Online(user, DeviceId(f"poll-{token}"), token)
        try:
            try:
                await self._register.join(place)
            except RingpostError:
                self._lose()
            if self.stopping:
                poll.set()
            yield poll
        finally:
            polls.discard(poll)
            if not polls:
                del self._polls[user]
            self._register.leave(place)

    def on_signals(self, signals: list[Signal]) -> None:
        """Give what Redis brought to the sessions and polls of its users."""
        for signal in signals:
            match signal:
                case Pushed(to=to, message=message):
                    for user, seq in to:
                        for session in self.sessions_of(user):
                            session.arrived(Entry(seq, message))
                        for poll in self._polls.get(user, ()):
                            poll.set()
                case Replaced(user_id=user, device_id=device, session_id=newer):
                    self._replace(user, device, newer)

    async def on_subscribed(self) -> None:
        """Pushes before the subscription are lost."""
        self._look_again()
        for attendant in self._attendants:
            attendant.subscribed()

    def on_news(self, news: Sequence[News]) -> None:
        for attendant in self._attendants:
            attendant.heard(news)

    def _turned(self, turns: Sequence[Turn]) -> None:
        for attendant in self._attendants:
            attendant.turned(turns)

    def _look_again(self) -> None:
        """Every session and every poll looks for what it missed."""
        self._wake_polls()
        self._missed = True
        self._beat_now.set()

    async def _keep_present(self) -> None:
        while not self.stopping:
            await self._keep_presence()
            await _pause(self._stopping)

    async def _keep_presence(self) -> None:
        """Renew presence when it is time. If it is gone, renew it at once, and look for what was not pushed
        meanwhile.

        It may be gone because another Redis is the primary now. So the gateway subscribes again. Workers may
        learn of the new primary later, and their pushes are lost until then. So it looks once more after
        `SETTLE_S`.
        """
        try:
            if self._deaf() or not await self._presence.stands(self.gateway_id):
                self._lose()
            if self._lost or time.monotonic() - self._renewed_at > self.settings.presence_ttl_s / 3:
                lost, self._lost, self._renewed_at = self._lost, False, time.monotonic()
                if lost:
                    await self._listen()
                await self._register.renew()
                if lost:
                    self._settled_at = time.monotonic() + SETTLE_S
                    self._look_again()
            if time.monotonic() > self._settled_at:
                self._settled_at = math.inf
                self._look_again()
        except RingpostError as error:
            if not self._lost:
                logger().warning("could not renew presence", error=error.message)
            self._lose()

    def _lose(self) -> None:
        """Redis does not answer, or forgot. Presence will be written again."""
        if not self._lost:
            self._lost = True
            self._wake_polls()

    def _deaf(self) -> bool:
        """Whether the listener has ended by itself. Only a fault does that."""
        failed = [task for task in self._listening if task.done()]
        for task in failed:
            logger().error("could not listen to Redis", error=repr(task.exception()))
        return bool(failed)

    async def _listen(self) -> None:
        await ended(self._listening)
        listening = self._signals.listen(self.gateway_id, self.on_signals, self.on_subscribed, self.on_news)
        self._listening = [asyncio.create_task(listening)]

    async def _keep_beating(self) -> None:
        while not self.stopping:
            self._beat_now.clear()
            if self._missed:
                self._missed = False  # before the look: what is missed during it needs another one
                await self._heart.check()
            await self._heart.beat()
            await _pause(self._beat_now)


def _online(session: Session) -> Online:
    return Online(session.device.user_id, session.device.device_id, session.session_id)


async def _pause(event: asyncio.Event) -> None:
    """Until the event, and for a tick at the most."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), TICK_S)
