"""Who calls: a user on one of their devices, or the application's server with its admin key."""

from __future__ import annotations

from msgspec import Struct

from domain.ids import DeviceId, UserId


class Device(Struct, frozen=True):
    """The scope of a token. `device_class` is the application's own word (phone, web …)."""

    user_id: UserId
    device_id: DeviceId
    device_class: str | None = None


class User(Struct, frozen=True):
    user_id: UserId
    name: str | None
    created_at_ms: int
