"""Which users the sessions of this gateway watch, and what each session was told of them."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from api.gateway.attendant import Attendant
from api.gateway.frames import error_frame, frame
from api.gateway.hub import Hub
from api.gateway.last_seen import LastSeen
from api.gateway.register import Turn
from api.gateway.session import Session
from api.sight import Sight
from api.views_people import presence_view
from domain.clock import now_ms
from domain.errors import RingpostError
from domain.ids import UserId
from domain.presence import Audience, Regard, View, view_of
from infra.redis.presence import Presence
from infra.redis.signals import Chose, News, Signals, Turned
from infra.telemetry.logs import logger

TELL_EVERY_S = 2.0
"""A session is told of changes at most once in this time."""

LOOKED_AT_ONCE = 500
"""Watched users that one step reads."""

MOST_UNTOLD = 10_000
"""Turns that wait to be told to other gateways. One more is dropped, and found later."""

WATCH_EVERY_S = 0.5
WATCH_BURST_S = 5.0
"""A device may send `watch` once in `WATCH_EVERY_S`, and save up for `WATCH_BURST_S`. Of those that come
sooner the last one counts, when it is time."""


@dataclass(eq=False, slots=True)
class Watch:
    """What one session watches. `told` is None until it has its first answer."""

    users: Collection[UserId] = ()
    told: dict[UserId, View] | None = None
    audience: Audience | None = None  # of the watching user; None when it must be read
    allowed_at: float = -math.inf
    early: Sequence[UserId] | None = None  # what the last `watch` named that came too early
    later: asyncio.Task[None] | None = None


@dataclass(eq=False, slots=True)
class Known:
    """What is known of a user who is watched here. `online` is None before the first look."""

    watchers: set[Session] = field(default_factory=set)
    online: bool | None = None
    seen_at_ms: int = 0
    look_at: float = 0.0


class Watches(Attendant):
    """Tells sessions who is online, as far as they may see it.

    Redis keeps for each watched user which gateways watch. The gateway where a user's first session begins or
    the last one ends learns this from the write of presence itself, without a further operation. It tells
    those gateways: one round trip for all turns of a write, and none if nobody watches.

    News may be lost, and a dead gateway tells nobody. So this gateway looks itself: at a user who is online
    when their presence would end, and at one who is not after half its time to live. A look is one round trip
    for `LOOKED_AT_ONCE` users. It also keeps this gateway among the watchers. The changes among them cost two
    queries to MongoDB, and one more for each further thousand of documents. Nothing waits for any of it.
    """

    name = "watches"

    def __init__(
        self, hub: Hub, presence: Presence, signals: Signals, sight: Sight, last_seen: LastSeen
    ) -> None:
        self._hub = hub
        self._presence = presence
        self._signals = signals
        self._sight = sight
        self._last_seen = last_seen
        self._watches: dict[Session, Watch] = {}
        self._known: dict[UserId, Known] = {}
        self._changed: set[UserId] = set()
        self._choices = 0  # how often an audience was to be read again
        self._untold: dict[str, dict[UserId, int]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    # ------------------------------------------------------------------ what a session watches

    async def watch(self, session: Session, users: Sequence[UserId]) -> None:
        """Watch these users in place of those before, and tell at once who of them is online.

        One round trip to Redis, and two queries to MongoDB at the most. Raises Unavailable. The session is
        told later then, and also if it has asked too often.
        """
        if session.over:
            return
        watch = self._watches.setdefault(session, Watch())
        if watch.later is not None:
            watch.early = users
        elif (early_s := _early_s(watch)) > 0:
            watch.early = users
            watch.later = asyncio.create_task(self._watch_later(session, watch, early_s))
        else:
            await self._watch(session, watch, users)

    async def _watch_later(self, session: Session, watch: Watch, wait_s: float) -> None:
        """Also does what comes meanwhile. So answers come in the order of what was asked."""
        try:
            while watch.early is not None:
                await asyncio.sleep(wait_s)
                users, watch.early = watch.early, None
                try:
                    await self._watch(session, watch, users)
                except RingpostError as error:
                    session.put(error_frame(error))
                wait_s = WATCH_EVERY_S
        finally:
            watch.later = None

    async def _watch(self, session: Session, watch: Watch, users: Sequence[UserId]) -> None:
        self._replace(session, watch, dict.fromkeys(users))
        try:
            await self._look_at(list(watch.users))
            views = await self._views([(session, user) for user in watch.users])
        except RingpostError:
            watch.told = {}
            self._changed.update(watch.users)
            raise
        watch.told = {user: view for (_, user), view in views.items()}
        session.put(_frame(watch.told))

    def left(self, session: Session) -> None:
        watch = self._watches.pop(session, None)
        if watch is not None:
            self._unwatch(session, watch.users)
            if watch.later is not None:
                watch.later.cancel()

    def _replace(self, session: Session, watch: Watch, users: Collection[UserId]) -> None:
        """From here on no change of these users is missed."""
        self._unwatch(session, [user for user in watch.users if user not in users])
        watch.users, watch.told = users, None
        for user in users:
            self._known.setdefault(user, Known()).watchers.add(session)

    def _unwatch(self, session: Session, users: Iterable[UserId]) -> None:
        """Redis forgets by itself that this gateway watches somebody."""
        for user in users:
            known = self._known[user]
            known.watchers.discard(session)
            if not known.watchers:
                del self._known[user]
                self._changed.discard(user)

    # ------------------------------------------------------------------ news

    def turned(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            self._note(turn.user_id, turn.at_ms)
            for gateway in turn.watchers:
                if gateway != self._hub.gateway_id:
                    self._tell_soon(gateway, turn.user_id, turn.at_ms)

    def heard(self, news: Sequence[News]) -> None:
        for item in news:
            match item:
                case Turned(users=users):
                    for user, at_ms in users:
                        self._note(user, at_ms)
                case Chose(user_id=user):
                    self._forget_audience(user)

    def subscribed(self) -> None:
        """Look at everybody again."""
        self._choices += 1
        for watch in self._watches.values():
            watch.audience = None
        for user, known in self._known.items():
            known.look_at = 0.0
            self._changed.add(user)

    async def chose(self, user: UserId) -> None:
        """The user chose anew who sees them: tell it to all gateways that have to do with it.

        Two round trips. Without Redis it is told when Redis is back.
        """
        self._forget_audience(user)
        with suppress(RingpostError):
            others = set(await self._presence.concerned(user)) - {self._hub.gateway_id}
            await self._signals.tell({gateway: [Chose(user)] for gateway in others})

    def _note(self, user: UserId, at_ms: int) -> None:
        """The user was online at that time, and something changed."""
        known = self._known.get(user)
        if known is not None:
            known.seen_at_ms = max(known.seen_at_ms, at_ms)
            self._changed.add(user)

    def _forget_audience(self, user: UserId) -> None:
        """Read it again: of the user as one who is watched, and as one who watches."""
        self._choices += 1
        if user in self._known:
            self._changed.add(user)
        for session in self._hub.sessions_of(user):
            watch = self._watches.get(session)
            if watch is not None:
                watch.audience = None
                self._changed.update(watch.users)

    def _tell_soon(self, gateway: str, user: UserId, at_ms: int) -> None:
        if sum(map(len, self._untold.values())) >= MOST_UNTOLD:
            return
        self._untold.setdefault(gateway, {})[user] = at_ms
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while self._untold:
                untold, self._untold = self._untold, {}
                await self._signals.tell(
                    {gateway: [Turned(list(users.items()))] for gateway, users in untold.items()}
                )
        except RingpostError as error:
            logger().warning("could not tell who came and went", error=error.message)
            self._untold.clear()
        finally:
            self._telling = None

    # ------------------------------------------------------------------ changes

    async def run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TELL_EVERY_S)
                return
            await self._step()

    def stop(self) -> None:
        self._stopping.set()

    async def _step(self) -> None:
        """Look at who is due, and tell what changed. What fails is done in a later step."""
        now = time.monotonic()
        due = [user for user, known in self._known.items() if known.look_at <= now or user in self._changed]
        for start in range(0, len(due), LOOKED_AT_ONCE):
            users = due[start : start + LOOKED_AT_ONCE]
            try:
                await self._look_at(users)
                await self._tell_sessions([user for user in users if user in self._changed])
            except RingpostError as error:
                logger().warning("could not look at who is online", error=error.message)
                return

    async def _look_at(self, users: Sequence[UserId]) -> None:
        """Read who is online, and note who is not as before."""
        left_s = await self._presence.watch(self._hub.gateway_id, users)
        now = time.monotonic()
        for user, online_s in zip(users, left_s, strict=True):
            known = self._known.get(user)
            if known is None:  # nobody watches any more
                continue
            online, before = online_s > 0, known.online
            known.online = online
            known.look_at = now + (online_s if online else random.uniform(0.5, 1) * self._presence.ttl_s / 2)
            if before is None or before == online:
                continue
            if not online and user not in self._changed:  # its gateway died
                self._last_seen.went(user, now_ms())
                known.seen_at_ms = now_ms()
            self._changed.add(user)

    async def _tell_sessions(self, users: Sequence[UserId]) -> None:
        """Tell each session what it is now shown of these users, where that changed."""
        self._changed.difference_update(users)
        pairs = [
            (session, user) for user in users if user in self._known for session in self._known[user].watchers
        ]
        try:
            views = await self._views(pairs)
        except RingpostError:
            self._changed.update(user for user in users if user in self._known)
            raise
        news: dict[Session, dict[UserId, View]] = {}
        for (session, user), view in views.items():
            watch = self._watches.get(session)
            if watch is None or user not in watch.users:
                continue
            if watch.told is None:  # its first answer is on its way, and may be older
                self._changed.add(user)
            elif watch.told.get(user) != view:
                news.setdefault(session, {})[user] = view
        for session, changes in news.items():
            told = self._watches[session].told
            if told is not None and session.offer(_frame(changes)):
                told.update(changes)
            else:  # it is behind
                self._changed.update(changes)

    async def _views(self, pairs: Sequence[tuple[Session, UserId]]) -> dict[tuple[Session, UserId], View]:
        """What each session is shown of its user now. Sessions that ended meanwhile are left out."""
        watches = {session: watch for session, _ in pairs if (watch := self._watches.get(session))}
        strangers = {session for session, watch in watches.items() if watch.audience is None}
        choices = self._choices
        viewers = (session.device.user_id for session in strangers)
        regards = await self._sight.regards([*viewers, *(user for _, user in pairs)])
        for session, watch in watches.items():
            viewer = session.device.user_id
            if session not in strangers:
                regards.setdefault(viewer, Regard(watch.audience or "nobody"))
            elif choices == self._choices:  # else it may be what was chosen before
                watch.audience = regards[viewer].shows_to
        asked = {(session.device.user_id, user) for session, user in pairs if session in watches}
        visible = await self._sight.visible(asked, regards)
        views = {}
        for session, user in pairs:
            known = self._known.get(user)
            if known is not None and session in watches:
                seen_at_ms = max(known.seen_at_ms, regards[user].seen_at_ms or 0) or None
                is_visible = (session.device.user_id, user) in visible
                views[session, user] = view_of(bool(known.online), seen_at_ms, is_visible)
        return views


def _early_s(watch: Watch) -> float:
    """How many seconds too early the device sends `watch`."""
    now = time.monotonic()
    watch.allowed_at = max(watch.allowed_at, now - WATCH_BURST_S) + WATCH_EVERY_S
    return watch.allowed_at - now


def _frame(views: Mapping[UserId, View]) -> bytes:
    return frame("presence", users=[presence_view(user, view) for user, view in views.items()])
