"""Who is online, as far as a viewer may see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.ids import UserId, direct_id
from domain.presence import Regard, View, hangs_on_contact, sees, view_of
from infra.mongo.accounts import AccountStore
from infra.mongo.conversations import ConversationStore
from infra.redis.presence import Presence

READ_AT_ONCE = 1_000
"""Documents that one query to MongoDB asks for."""

UNKNOWN = Regard()
"""Of a user who does not exist, and so is never online."""

Pair = tuple[UserId, UserId]


@dataclass(frozen=True)
class Sight:
    """Raises Unavailable."""

    _presence: Presence
    _accounts: AccountStore
    _conversations: ConversationStore

    async def look(self, viewer: UserId, users: Sequence[UserId]) -> dict[UserId, View]:
        """What the viewer is shown of each user now.

        One round trip to Redis and one query to MongoDB, for up to a thousand users. One query more if it
        depends on who is a contact.
        """
        places = await self._presence.places(users)
        online = {user for user, found in zip(users, places, strict=True) if found}
        regards = await self.regards([viewer, *users])
        visible = await self.visible(((viewer, user) for user in users), regards)
        return {
            user: view_of(user in online, regards[user].seen_at_ms, (viewer, user) in visible)
            for user in users
        }

    async def regards(self, users: Iterable[UserId]) -> dict[UserId, Regard]:
        """To whom each of the users shows, and when they were last online. One query for each thousand."""
        asked = list(dict.fromkeys(users))
        found = dict.fromkeys(asked, UNKNOWN)
        for start in range(0, len(asked), READ_AT_ONCE):
            found |= await self._accounts.regards(asked[start : start + READ_AT_ONCE])
        return found

    async def visible(self, pairs: Iterable[Pair], regards: dict[UserId, Regard]) -> set[Pair]:
        """Those of the pairs (viewer, user) in which they see each other. Everybody sees themselves.

        One query for each thousand pairs for which it matters whether they are contacts; else none.
        """
        visible, open_pairs = set(), {}
        for viewer, user in pairs:
            one, other = regards[viewer].shows_to, regards[user].shows_to
            if viewer == user or sees(one, other, contact=False):
                visible.add((viewer, user))
            elif hangs_on_contact(one, other):
                open_pairs[viewer, user] = direct_id(viewer, user)
        asked = list(set(open_pairs.values()))
        contacts = set()
        for start in range(0, len(asked), READ_AT_ONCE):
            contacts |= await self._conversations.existing(asked[start : start + READ_AT_ONCE])
        return visible | {pair for pair, conversation in open_pairs.items() if conversation in contacts}
