"""Which device of a user is on which gateway, and until when that is known.

A gateway renews its own; the devices of one that died disappear by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from domain.clock import now_ms
from domain.ids import DeviceId, UserId
from infra.redis.client import translated
from infra.redis.keys import Keys


class Place(NamedTuple):
    """A device on a gateway."""

    gateway_id: str
    device_id: DeviceId


class Presence:
    """Raises Unavailable."""

    def __init__(self, client: Redis, keys: Keys, ttl_s: float) -> None:
        self._client = client
        self._keys = keys
        self._ttl_ms = round(ttl_s * 1000)

    async def renew(self, gateway_id: str, devices: Iterable[tuple[UserId, DeviceId]]) -> None:
        """These devices are on the gateway, from now for the time to live; all in one round trip."""
        now = now_ms()
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for user, device in devices:
                key = self._keys.online(user)
                pipe.zadd(key, {f"{gateway_id}/{device}": now + self._ttl_ms})
                pipe.zremrangebyscore(key, 0, now)
                pipe.pexpire(key, self._ttl_ms)
            await pipe.execute()

    async def leave(self, gateway_id: str, user: UserId, device: DeviceId) -> None:
        with translated():
            await self._client.zrem(self._keys.online(user), f"{gateway_id}/{device}")

    async def places(self, users: Sequence[UserId]) -> list[list[Place]]:
        """Where each user's devices are now, in one round trip."""
        now = now_ms()
        with translated():
            pipe = self._client.pipeline(transaction=False)
            for user in users:
                pipe.zrangebyscore(self._keys.online(user), now, "+inf")
            found = await pipe.execute()
        return [[Place(*member.decode().split("/", 1)) for member in members] for members in found]
