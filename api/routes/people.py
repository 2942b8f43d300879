"""Oneself, and who is online."""

from __future__ import annotations

from api.contract import Answer, Route
from api.gateway.watches import Watches
from api.sight import Sight
from api.strict import convert
from api.views_people import ChangeMe, MeView, PresenceList, PresenceQuery, Watched, presence_view
from domain.devices import Device
from domain.errors import NotFound
from domain.ids import UserId
from infra.mongo.accounts import AccountStore, Profile


class People:
    def __init__(self, accounts: AccountStore, sight: Sight, watches: Watches) -> None:
        self._accounts = accounts
        self._sight = sight
        self._watches = watches

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/v1/me", self.me, "Your own name and settings", {200: MeView}),
            Route(
                "PATCH",
                "/v1/me",
                self.change_me,
                "Choose who sees when you are online",
                {200: MeView},
                body_type=ChangeMe,
            ),
            Route(
                "GET",
                "/v1/presence",
                self.presence,
                "Who is online, and when others last were",
                {200: PresenceList},
                query_type=PresenceQuery,
            ),
        ]

    async def me(self, device: Device) -> Answer:
        return _me(device.user_id, await self._accounts.profile(device.user_id))

    async def change_me(self, device: Device, body: ChangeMe) -> Answer:
        """Whoever watches is told, as far as Redis answers."""
        user = device.user_id
        if body.last_seen is None:
            return await self.me(device)
        profile = await self._accounts.choose_audience(user, body.last_seen)
        await self._watches.chose(user)
        return _me(user, profile)

    async def presence(self, device: Device, query: PresenceQuery) -> Answer:
        asked = convert({"user_ids": query.user_ids.split(",")}, Watched)
        users = list(dict.fromkeys(asked.user_ids))
        views = await self._sight.look(device.user_id, users)
        return Answer(PresenceList([presence_view(user, views[user]) for user in users]))


def _me(user: UserId, profile: Profile | None) -> Answer:
    if profile is None:
        raise NotFound(f"There is no user {user}.", "user_id")
    return Answer(MeView(user, profile.name, profile.last_seen))
