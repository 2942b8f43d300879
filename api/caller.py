"""Who calls: tokens of devices, and the admin key."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from typing import Any

import jwt

from api.views import TokenView
from domain.clock import rfc3339
from domain.devices import Device
from domain.errors import Forbidden, Unauthenticated
from domain.ids import DeviceId, UserId, is_account_id
from infra.keys import Keys

CACHED_TOKENS = 10_000


class Callers:
    """Mints and checks tokens (JWT, HMAC). `sub` is the user, `dev` the device, `cls` its class."""

    def __init__(self, keys: Keys, algorithm: str) -> None:
        self._keys = keys
        self._algorithm = algorithm
        self._seen: OrderedDict[str, tuple[Device, float]] = OrderedDict()

    def mint(self, device: Device, ttl_s: int) -> TokenView:
        now = int(time.time())
        claims: dict[str, Any] = {
            "sub": device.user_id,
            "dev": device.device_id,
            "iat": now,
            "exp": now + ttl_s,
        }
        if device.device_class is not None:
            claims["cls"] = device.device_class
        token = jwt.encode(claims, self._keys.token, self._algorithm)
        return TokenView(token, rfc3339((now + ttl_s) * 1000))

    def device(self, authorization: str | None) -> Device:
        """The device of a `Bearer` token. Raises Unauthenticated."""
        return self.device_of_token(_bearer(authorization))

    def device_of_token(self, token: str) -> Device:
        """Raises Unauthenticated for a token that is expired, from elsewhere, or unreadable."""
        seen = self._seen.get(token)
        if seen is None:
            seen = self._check(token)
            self._seen[token] = seen
            if len(self._seen) > CACHED_TOKENS:
                self._seen.popitem(last=False)
        device, expires = seen
        if expires <= time.time():
            raise Unauthenticated("The token has expired.")
        return device

    def _check(self, token: str) -> tuple[Device, float]:
        try:
            claims = jwt.decode(
                token,
                self._keys.token,
                algorithms=[self._algorithm],
                # Not when it was issued: the clock of the API that did it may be ahead of ours.
                options={"require": ["sub", "dev", "exp"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except (jwt.InvalidTokenError, ValueError):
            raise Unauthenticated("The token is not valid.") from None
        user, device_id = str(claims["sub"]), str(claims["dev"])
        if not (is_account_id(user) and is_account_id(device_id)):
            raise Unauthenticated("The token names a user or a device that cannot exist.")
        device = Device(UserId(user), DeviceId(device_id), claims.get("cls"))
        return device, float(claims["exp"])

    def is_admin(self, authorization: str | None) -> bool:
        """Whether this is the admin key. Raises Unauthenticated if it is nothing at all."""
        return hmac.compare_digest(_bearer(authorization).encode(), self._keys.admin.encode())

    def admin(self, authorization: str | None) -> None:
        """Raises Unauthenticated, or Forbidden for a device's token."""
        given = _bearer(authorization)
        if self.is_admin(authorization):
            return
        try:
            self.device_of_token(given)
        except Unauthenticated:
            raise Unauthenticated("The admin key is wrong.") from None
        raise Forbidden("This call needs the admin key, not a device's token.")


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated("Send a token: `Authorization: Bearer …`.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must be `Bearer` and a token.")
    return token.strip()
