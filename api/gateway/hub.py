"""All sessions of this gateway, and all polls that wait here for a user."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.gateway.frames import Close
from api.gateway.session import Session
from api.sync import Sync
from domain.entries import Entry
from domain.errors import RingpostError
from domain.ids import DeviceId, UserId
from infra.redis.presence import Presence
from infra.redis.signals import Pushed, Replaced, Signal, Signals
from infra.settings import GatewaySettings
from infra.tasks import ended
from infra.telemetry.logs import logger
from infra.telemetry.names import SOCKETS

TICK_S = 1.0
SETTLE_S = 5.0
CHECKS_AT_ONCE = 64


class Hub:
    """Hands pushes to the sessions, renews their presence, and sends their heartbeats."""

    name = "hub"

    def __init__(self, presence: Presence, signals: Signals, sync: Sync, settings: GatewaySettings) -> None:
        self.gateway_id = secrets.token_hex(6)
        self._presence = presence
        self._signals = signals
        self._sync = sync
        self.settings = settings
        self._sessions: dict[UserId, dict[str, Session]] = {}
        self._pollers: dict[UserId, dict[asyncio.Event, DeviceId]] = {}
        self._beats: dict[Session, float] = {}
        self._renewed_at = 0.0
        self._lost = False
        self._settled_at = math.inf
        self._listening: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                await self._keep_presence()
                await self._beat()
                await self._pause()
        finally:
            self.close_all()
            await ended(self._listening)

    def stop(self) -> None:
        self._stopping.set()
        self.close_all()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def close_all(self) -> None:
        """Tells every device to come back. Every waiting poll returns."""
        for session in self._every_session():
            session.close(Close.GOING_AWAY)
        self._wake_pollers()

    def _wake_pollers(self) -> None:
        for events in self._pollers.values():
            for event in events:
                event.set()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), TICK_S)
        except TimeoutError:
            return

    @asynccontextmanager
    async def joined(self, session: Session) -> AsyncIterator[None]:
        """The device is online here for the length of the block. Its older connections end (4003)."""
        user, device = session.device.user_id, session.device.device_id
        for older in list(self._sessions.get(user, {}).values()):
            if older.device.device_id == device:
                older.close(Close.REPLACED)
        self._sessions.setdefault(user, {})[session.session_id] = session
        self._beats[session] = time.monotonic() + self.settings.heartbeat_s
        SOCKETS.inc()
        try:
            await self._announce(session)
            yield
        finally:
            SOCKETS.dec()
            self._beats.pop(session, None)
            mine = self._sessions[user]
            del mine[session.session_id]
            if not mine:
                del self._sessions[user]
            if all(other.device.device_id != device for other in mine.values()):
                await self._leave(user, device)

    async def _announce(self, session: Session) -> None:
        """Write presence first, so that later pushes reach us. Without Redis this is done later."""
        user, device = session.device.user_id, session.device.device_id
        try:
            await self._presence.renew(self.gateway_id, [(user, device)])
            places = (await self._presence.places([user]))[0]
            elsewhere = {p.gateway_id for p in places if p.device_id == device} - {self.gateway_id}
            if elsewhere:
                told: list[Signal] = [Replaced(user, device, session.session_id)]
                await self._signals.send(dict.fromkeys(elsewhere, told))
        except RingpostError as error:
            self._lost = True
            logger().warning("could not write presence", user=user, error=error.message)

    async def _leave(self, user: UserId, device: DeviceId) -> None:
        try:
            await self._presence.leave(self.gateway_id, user, device)
        except RingpostError as error:
            logger().warning("could not remove presence", user=user, error=error.message)

    @asynccontextmanager
    async def polling(self, user: UserId) -> AsyncIterator[asyncio.Event]:
        """An event that is set when something arrives for the user, or when the gateway stops."""
        event = asyncio.Event()
        poller = DeviceId(f"poll-{secrets.token_hex(4)}")
        self._pollers.setdefault(user, {})[event] = poller
        try:
            await self._presence.renew(self.gateway_id, [(user, poller)])
            if self._stopping.is_set():
                event.set()
            yield event
        finally:
            del self._pollers[user][event]
            if not self._pollers[user]:
                del self._pollers[user]
            await self._leave(user, poller)

    def _on_signals(self, signals: list[Signal]) -> None:
        for signal in signals:
            match signal:
                case Pushed(to=to, message=message):
                    for user, seq in to:
                        for session in self._sessions.get(user, {}).values():
                            session.arrived(Entry(seq, message))
                        for event in self._pollers.get(user, ()):
                            event.set()
                case Replaced(user_id=user, device_id=device, session_id=newer):
                    for session in list(self._sessions.get(user, {}).values()):
                        if session.device.device_id == device and session.session_id != newer:
                            session.close(Close.REPLACED)

    async def _on_subscribed(self) -> None:
        """Pushes before the subscription are lost. So every session checks what it misses."""
        await self._look_again()

    async def _look_again(self) -> None:
        self._wake_pollers()
        await self._check(self._every_session())

    async def _keep_presence(self) -> None:
        """Renew presence when it is time. If it is gone, renew it at once, and check what was not pushed
        meanwhile.

        It may be gone because another Redis is the primary now. So the gateway subscribes again. Workers may
        learn of the new primary later, and their pushes are lost until then. So it checks once more after
        `SETTLE_S`.
        """
        try:
            if self._deaf() or not await self._presence.stands(self.gateway_id):
                self._lost = True
            if self._lost or time.monotonic() - self._renewed_at > self.settings.presence_ttl_s / 3:
                lost, self._lost, self._renewed_at = self._lost, False, time.monotonic()
                if lost:
                    await self._listen()
                await self._presence.renew(self.gateway_id, self._devices())
                if lost:
                    self._settled_at = time.monotonic() + SETTLE_S
                    await self._look_again()
            if time.monotonic() > self._settled_at:
                self._settled_at = math.inf
                await self._look_again()
        except RingpostError as error:
            if not self._lost:
                logger().warning("could not renew presence", error=error.message)
            self._lost = True

    def _deaf(self) -> bool:
        """Whether the listener has ended by itself. Only a fault does that."""
        failed = [task for task in self._listening if task.done()]
        for task in failed:
            logger().error("could not listen to Redis", error=repr(task.exception()))
        return bool(failed)

    async def _listen(self) -> None:
        await ended(self._listening)
        listening = self._signals.listen(self.gateway_id, self._on_signals, self._on_subscribed)
        self._listening = [asyncio.create_task(listening)]

    def _devices(self) -> list[tuple[UserId, DeviceId]]:
        """All devices here, with those of waiting polls."""
        devices = [(s.device.user_id, s.device.device_id) for s in self._every_session()]
        return devices + [(user, poller) for user, some in self._pollers.items() for poller in some.values()]

    async def _beat(self) -> None:
        now = time.monotonic()
        due = [session for session, at in self._beats.items() if at <= now]
        for session in due:
            self._beats[session] = now + self.settings.heartbeat_s
        await self._check(due, beat=True)

    async def _check(self, sessions: list[Session], *, beat: bool = False) -> None:
        limit = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(session: Session) -> None:
            async with limit:
                try:
                    head = await self._sync.head(session.device.user_id)
                except RingpostError:
                    head = session.sent
            if beat:
                session.heartbeat(head)
            else:
                session.check(head)

        await asyncio.gather(*map(check, sessions))

    def _every_session(self) -> list[Session]:
        return [session for some in self._sessions.values() for session in some.values()]
