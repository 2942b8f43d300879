"""What requests and answers about people look like: oneself, and who is online."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from api.views import AccountId
from domain.clock import rfc3339
from domain.ids import UserId, id_list_pattern
from domain.presence import Audience, View

MOST_WATCHED = 200
"""The most users whose presence a socket watches, or one call asks for."""

_IDS_CHARACTERS = MOST_WATCHED * 65 - 1

WatchedIds = Annotated[
    list[AccountId], Meta(max_length=MOST_WATCHED, description="The users. An empty list watches nobody.")
]

_AUDIENCE = (
    "Who sees whether you are online, and when you last were: `everyone`, `contacts` or `nobody`. "
    "Contacts are people with whom you have a direct conversation. "
    "You see of others no more than they see of you."
)


class MeView(Struct):
    """You yourself."""

    user_id: AccountId
    name: Annotated[str | None, Meta(description="The name that people see; null when none was given.")]
    last_seen: Annotated[Audience, Meta(description=_AUDIENCE)]


class ChangeMe(Struct, forbid_unknown_fields=True):
    """What to change. Leave out what is to stay."""

    last_seen: Annotated[Audience | None, Meta(description=_AUDIENCE)] = None


class PresenceQuery(Struct, forbid_unknown_fields=True):
    user_ids: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_IDS_CHARACTERS,
            description=f"The ids of up to {MOST_WATCHED} users, separated by commas.",
            # Not checked here: an error names the id that is wrong.
            extra_json_schema={"pattern": id_list_pattern(MOST_WATCHED)},
        ),
    ]


class Watched(Struct):
    """The ids of a `PresenceQuery`."""

    user_ids: WatchedIds


class PresenceView(Struct):
    """Whether a user is online, as far as you may see it."""

    user_id: AccountId
    online: Annotated[
        bool,
        Meta(
            description="Whether the user has a socket or a waiting pull. False also for who hides from you."
        ),
    ]
    last_seen: (
        Annotated[
            str,
            Meta(
                description=(
                    "When the user was last online: RFC 3339, UTC, milliseconds. "
                    "Absent while they are online, and where it is not known or hidden."
                )
            ),
        ]
        | UnsetType
    ) = UNSET


class PresenceList(Struct):
    """Who is online."""

    users: Annotated[
        list[PresenceView], Meta(description="Each user that you asked for once, in the same order.")
    ]


def presence_view(user: UserId, view: View) -> PresenceView:
    seen = UNSET if view.seen_at_ms is None else rfc3339(view.seen_at_ms)
    return PresenceView(user, view.online, seen)
