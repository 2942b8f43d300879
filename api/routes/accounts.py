"""Users and tokens: for the application's server, with the admin key."""

from __future__ import annotations

from api.caller import Callers
from api.contract import Answer, Route
from api.views import MintToken, PutUser, TokenView, UserPath, UserView
from domain.clock import now_ms, rfc3339
from domain.devices import Device
from domain.errors import NotFound
from infra.mongo.accounts import AccountStore


class Accounts:
    def __init__(self, accounts: AccountStore, callers: Callers, ttl_s: int) -> None:
        self._accounts = accounts
        self._callers = callers
        self._ttl_s = ttl_s

    def routes(self) -> list[Route]:
        return [
            Route(
                "PUT",
                "/v1/users/{user_id}",
                self.put_user,
                "Create a user, or rename one",
                {200: UserView},
                path_type=UserPath,
                body_type=PutUser,
                admin=True,
            ),
            Route(
                "POST",
                "/v1/tokens",
                self.mint_token,
                "Mint a token for a device of a user",
                {200: TokenView},
                body_type=MintToken,
                admin=True,
            ),
        ]

    async def put_user(self, path: UserPath, body: PutUser) -> Answer:
        user = await self._accounts.put_user(path.user_id, body.name, now_ms())
        return Answer(UserView(user.user_id, user.name, rfc3339(user.created_at_ms)))

    async def mint_token(self, body: MintToken) -> Answer:
        if await self._accounts.unknown([body.user_id]):
            raise NotFound(f"There is no user {body.user_id}.", "user_id")
        device = Device(body.user_id, body.device_id, body.device_class)
        await self._accounts.put_device(device, now_ms())
        return Answer(self._callers.mint(device, body.expires_in_s or self._ttl_s))
