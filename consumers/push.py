"""push: sends each arrival to the gateways that hold a device of its users."""

from __future__ import annotations

import time
from collections.abc import Sequence

from consumers.loop import Taken
from domain.events import Arrival, decode_arrival
from domain.ids import UserId
from infra.crash import crash_point
from infra.kafka.topics import ARRIVALS
from infra.redis.presence import Presence
from infra.redis.signals import Pushed, Signal, Signals
from infra.telemetry.names import PUSH_S, PUSHED


class Push:
    """It does nothing for users without an online device. Their devices pull; others may read `arrivals`."""

    group = "push"
    topic = ARRIVALS

    def __init__(self, presence: Presence, signals: Signals) -> None:
        self._presence = presence
        self._signals = signals

    def decode(self, value: bytes) -> Arrival:
        return decode_arrival(value)

    async def handle(self, batch: Sequence[Taken[Arrival]]) -> None:
        began = time.perf_counter()
        users = list(dict.fromkeys(user for _, arrival in batch for user, _ in arrival.to))
        places = await self._presence.places(users)
        gateways: dict[UserId, set[str]] = {
            user: {place.gateway_id for place in some} for user, some in zip(users, places, strict=True)
        }
        by_gateway: dict[str, list[Signal]] = {}
        for _, arrival in batch:
            told: dict[str, list[tuple[UserId, int]]] = {}
            for user, seq in arrival.to:
                for gateway in gateways[user]:
                    told.setdefault(gateway, []).append((user, seq))
            for gateway, to in told.items():
                by_gateway.setdefault(gateway, []).append(Pushed(to, bytes(arrival.message)))
                PUSHED.inc(len(to))
        if by_gateway:
            crash_point("pushing")
            await self._signals.send(by_gateway)
            crash_point("pushed")
        PUSH_S.observe(time.perf_counter() - began)
