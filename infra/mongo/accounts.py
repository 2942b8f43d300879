"""Users and their devices, with each device's own cursor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.devices import Device, User
from domain.ids import DeviceId, UserId
from domain.presence import Audience, Regard
from infra.mongo.client import Database
from infra.mongo.terms import Document, Write

EVERYONE: Audience = "everyone"
"""What a user shows who has never chosen."""


class Profile(NamedTuple):
    """What a user may read and change of themselves."""

    name: str | None
    last_seen: Audience


class AccountStore:
    """Durable when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._users = database.collection("users")
        self._devices = database.collection("devices")

    async def put_user(self, user: UserId, name: str | None, now_ms: int) -> User:
        """Create a user, or rename one if a name is given. Returns the user as it is now."""
        change: dict[str, dict[str, object]] = {"$setOnInsert": {"at": now_ms}}
        if name is None:
            change["$setOnInsert"]["name"] = None
        else:
            change["$set"] = {"name": name}
        row = await self._users.find_and_update({"_id": user}, change, upsert=True)
        assert row is not None, "an upsert returns its document"
        return User(user, row["name"], row["at"])

    async def unknown(self, users: Iterable[UserId]) -> set[UserId]:
        """Those of the users that do not exist."""
        asked = set(users)
        found = await self._users.find_any_order({"_id": {"$in": list(asked)}}, ["_id"])
        return asked - {row["_id"] for row in found}

    async def names(self, users: Iterable[UserId]) -> dict[UserId, str | None]:
        """The name of each user that exists, in one query; None for a user without a name."""
        asked = set(users)
        if not asked:
            return {}
        found = await self._users.find_any_order({"_id": {"$in": list(asked)}}, ["name"])
        return {row["_id"]: row["name"] for row in found}

    async def profile(self, user: UserId) -> Profile | None:
        """None if there is no such user."""
        row = await self._users.find_one({"_id": user}, ["name", "last_seen"])
        return None if row is None else _profile(row)

    async def choose_audience(self, user: UserId, audience: Audience) -> Profile | None:
        """Who sees when the user is online. Returns the profile as it is then; None without such a user."""
        row = await self._users.find_and_update({"_id": user}, {"$set": {"last_seen": audience}})
        return None if row is None else _profile(row)

    async def regards(self, users: Iterable[UserId]) -> dict[UserId, Regard]:
        """Of each user that exists, in one query."""
        asked = set(users)
        if not asked:
            return {}
        found = await self._users.find_any_order({"_id": {"$in": list(asked)}}, ["last_seen", "seen"])
        return {row["_id"]: Regard(row.get("last_seen", EVERYONE), row.get("seen")) for row in found}

    async def put_seen(self, seen_at_ms: Mapping[UserId, int]) -> None:
        """When these users were last online. It only moves forward. One write for all."""
        await self._users.change_each(
            [Write({"_id": user}, {"$max": {"seen": at_ms}}) for user, at_ms in seen_at_ms.items()]
        )

    async def put_device(self, device: Device, now_ms: int) -> None:
        """Create a device or change its class."""
        change = {"$set": {"class": device.device_class}, "$setOnInsert": {"at": now_ms, "cursor": 0}}
        await self._devices.update(_place(device.user_id, device.device_id), change, upsert=True)

    async def cursor(self, user: UserId, device: DeviceId) -> int:
        """The device's acknowledged cursor. 0 if it never acknowledged."""
        row = await self._devices.find_one(_place(user, device), ["cursor"])
        return int(row["cursor"]) if row else 0

    async def acknowledge(self, user: UserId, device: DeviceId, cursor: int) -> int:
        """Move the device's cursor, only forward. Returns where it stands."""
        row = await self._devices.find_and_update(
            _place(user, device), {"$max": {"cursor": cursor}}, upsert=True
        )
        assert row is not None, "an upsert returns its document"
        return int(row["cursor"])

    async def told(self, users: Iterable[UserId]) -> dict[UserId, int]:
        """Up to which entry of each inbox senders know that it is on a device. Absent: none."""
        found = await self._users.find_any_order({"_id": {"$in": list(users)}}, ["told"])
        return {row["_id"]: int(row["told"]) for row in found if row.get("told")}

    async def set_told(self, cursors: Mapping[UserId, int]) -> None:
        """Senders know it up to these entries."""
        await self._users.change_each(
            [Write({"_id": user}, {"$max": {"told": cursor}}) for user, cursor in cursors.items()]
        )


def _profile(row: Document) -> Profile:
    return Profile(row["name"], row.get("last_seen", EVERYONE))


def _place(user: UserId, device: DeviceId) -> dict[str, object]:
    return {"_id": {"u": user, "d": device}}
