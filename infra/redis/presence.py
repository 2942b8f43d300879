"""Which session of a device is on which gateway, and until when that is known.

A gateway renews the presence of its sessions. The sessions of a dead gateway disappear by themselves. Only
the clock of Redis counts, so the clocks of gateways and workers do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.ids import DeviceId, UserId
from infra.redis.client import Client
from infra.redis.keys import Keys

LEAST_WATCH_MS = 10_000


class Place(NamedTuple):
    """A session of a device on a gateway."""

    gateway_id: str
    device_id: DeviceId
    session_id: str = ""


class Online(NamedTuple):
    """A session of a user's device. Each connection of a device is a session of its own."""

    user_id: UserId
    device_id: DeviceId
    session_id: str


class Written(NamedTuple):
    """Where a user is after a write. `turned`: the write made them come online, or go away.

    Then `watchers` are the gateways that watch the user.
    """

    places: list[Place]
    turned: bool = False
    watchers: Sequence[str] = ()


class Presence:
    """Raises Unavailable."""

    def __init__(self, client: Client, keys: Keys, ttl_s: float) -> None:
        self._client = client
        self._keys = keys
        self.ttl_s = ttl_s
        self._ttl_ms = round(ttl_s * 1000)
        self._watch_ms = max(2 * self._ttl_ms, LEAST_WATCH_MS)

    async def write(self, gateway_id: str, changes: Iterable[tuple[Online, bool]]) -> list[Written]:
        """Each session is on the gateway (true), from now for the time to live, or has left it (false).

        The changes take effect in order, in few round trips.
        """
        calls = [
            (
                [self._keys.online(session.user_id), self._keys.watchers(session.user_id)],
                (f"{gateway_id}/{session.device_id}/{session.session_id}", self._ttl_ms if here else 0),
            )
            for session, here in changes
        ]
        return [_written(*reply) for reply in await self._client.call_each("renew", calls)]

    async def stands(self, gateway_id: str) -> bool:
        """Whether all that the gateway wrote is still there, except what it let expire.

        False the first time, and once after Redis was emptied or failed over. Then renew everything; pushes
        since the last call may be lost. Call it more often than the time to live.
        """
        mark = self._keys.gateway_mark(gateway_id)
        return bool(await self._client.call("stands", [mark], [self._ttl_ms]))

    async def places(self, users: Sequence[UserId]) -> list[list[Place]]:
        """Where each user's devices are now, in few round trips."""
        calls = [([self._keys.online(user)], ()) for user in users]
        return [_places(members) for members in await self._client.call_each("places", calls)]

    async def watch(self, gateway_id: str, users: Sequence[UserId]) -> list[float]:
        """The gateway is told when one of the users comes online or goes away, for twice the time to live
        and for `LEAST_WATCH_MS` at least.

        Returns for how many seconds each is online if nothing renews it; 0 for who is not. It is one round
        trip for a thousand users.
        """
        calls = [
            ([self._keys.watchers(user), self._keys.online(user)], (gateway_id, self._watch_ms))
            for user in users
        ]
        return [left_ms / 1000 for left_ms in await self._client.call_each("watch", calls)]

    async def concerned(self, user: UserId) -> list[str]:
        """The gateways that watch the user, and those where the user is online. One round trip."""
        keys = [self._keys.watchers(user), self._keys.online(user)]
        return [gateway.decode() for gateway in await self._client.call("watchers", keys, [])]


def _written(members: Iterable[bytes], turned: int, watchers: Iterable[bytes] = ()) -> Written:
    return Written(_places(members), bool(turned), [gateway.decode() for gateway in watchers])


def _places(members: Iterable[bytes]) -> list[Place]:
    parts = (member.decode().split("/", 2) for member in members)
    return [Place(gateway, DeviceId(device), *session) for gateway, device, *session in parts]
