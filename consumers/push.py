"""push: sends each arrival to the gateways that hold a device of its users."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from consumers.loop import Taken
from domain.events import ARRIVAL_RECORDS, Arrival, Broken
from domain.ids import UserId
from infra.crash import crash_point
from infra.kafka.topics import ARRIVALS
from infra.redis.presence import Presence
from infra.redis.signals import Pushed, Signal, Signals
from infra.telemetry.names import PUSH_S, PUSHED


class Push:
    """It does nothing for users without an online device. Their devices pull; others may read `arrivals`.

    It looks up where users are only for arrivals that do not say so: inbox could not ask Redis, or the record
    is of an earlier version.
    """

    group = "push"
    topic = ARRIVALS

    def __init__(self, presence: Presence, signals: Signals) -> None:
        self._presence = presence
        self._signals = signals

    def decode(self, value: bytes) -> Sequence[Arrival | Broken]:
        return ARRIVAL_RECORDS.decode(value)

    def encode(self, event: Arrival) -> bytes:
        """Without the gateways: when this record is replayed, the users may be elsewhere."""
        return ARRIVAL_RECORDS.encode([Arrival(event.conversation_id, event.seq, event.to, event.message)])

    async def handle(self, batch: Sequence[Taken[Arrival]]) -> None:
        began = time.perf_counter()
        arrivals = [arrival for _, arrival in batch]
        gateways = await self._look_up(arrivals)
        by_gateway: dict[str, list[Signal]] = {}
        pushed = 0
        for arrival in arrivals:
            where = arrival.gateways
            for gateway, places in (_online(arrival, gateways) if where is None else where).items():
                to = [arrival.to[place] for place in places]
                by_gateway.setdefault(gateway, []).append(Pushed(to, bytes(arrival.message)))
                pushed += len(to)
        if by_gateway:
            crash_point("pushing")
            await self._signals.send(by_gateway)
            crash_point("pushed")
            PUSHED.inc(pushed)
        PUSH_S.observe(time.perf_counter() - began)

    async def _look_up(self, arrivals: Sequence[Arrival]) -> dict[UserId, set[str]]:
        """The gateways of the users of those arrivals that name none."""
        unknown = [arrival for arrival in arrivals if arrival.gateways is None]
        if not unknown:
            return {}
        users = list(dict.fromkeys(user for arrival in unknown for user, _ in arrival.to))
        places = await self._presence.places(users)
        return {user: {one.gateway_id for one in some} for user, some in zip(users, places, strict=True)}


def _online(arrival: Arrival, gateways: Mapping[UserId, set[str]]) -> dict[str, list[int]]:
    """Gateway → the places of its users in the arrival."""
    online: dict[str, list[int]] = {}
    for place, (user, _) in enumerate(arrival.to):
        for gateway in gateways[user]:
            online.setdefault(gateway, []).append(place)
    return online
