"""Which device of a user is on which gateway, and until when that is known.

A gateway renews the presence of its devices. The devices of a dead gateway disappear by themselves. Only the
clock of Redis counts, so the clocks of gateways and workers do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.ids import DeviceId, UserId
from infra.redis.client import Client, LuaScript
from infra.redis.keys import Keys


class Place(NamedTuple):
    """A device on a gateway."""

    gateway_id: str
    device_id: DeviceId


class Presence:
    """Raises Unavailable."""

    def __init__(self, client: Client, keys: Keys, ttl_s: float) -> None:
        self._client = client
        self._keys = keys
        self._ttl_ms = round(ttl_s * 1000)
        self._renew = LuaScript(client, "renew")
        self._places = LuaScript(client, "places")
        self._stands = LuaScript(client, "stands")

    async def renew(self, gateway_id: str, devices: Iterable[tuple[UserId, DeviceId]]) -> None:
        """These devices are on the gateway, from now for the time to live. It takes few round trips."""
        await self._renew.call_each(
            [
                ([self._keys.online(user)], (f"{gateway_id}/{device}", self._ttl_ms))
                for user, device in devices
            ]
        )

    async def stands(self, gateway_id: str) -> bool:
        """Whether all that the gateway wrote is still there, except what it let expire.

        False the first time, and once after Redis was emptied or failed over. Then renew everything; pushes
        since the last call may be lost. Call it more often than the time to live.
        """
        return bool(await self._stands.call([self._keys.gateway_mark(gateway_id)], (self._ttl_ms,)))

    async def leave(self, gateway_id: str, user: UserId, device: DeviceId) -> None:
        await self._client.run([("ZREM", self._keys.online(user), f"{gateway_id}/{device}")])

    async def places(self, users: Sequence[UserId]) -> list[list[Place]]:
        """Where each user's devices are now, in few round trips."""
        found = await self._places.call_each([([self._keys.online(user)], ()) for user in users])
        return [[Place(*member.decode().split("/", 1)) for member in members] for members in found]
