"""Who sees whether somebody is online, and when they were last: the rule, and what the viewer is shown."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

Audience = Literal["everyone", "contacts", "nobody"]
"""To whom a user shows when they are online. Contacts have a direct conversation with each other."""


class Regard(Struct, frozen=True):
    """What is stored of a user's presence: to whom they show it, and when their last session ended."""

    shows_to: Audience = "everyone"
    seen_at_ms: int | None = None


class View(NamedTuple):
    """What a viewer is shown of somebody. `seen_at_ms` is None while they are online."""

    online: bool
    seen_at_ms: int | None = None


HIDDEN = View(online=False)
"""Of somebody whom the viewer may not see, and of somebody who does not exist."""

ONLINE = View(online=True)


def shows(owner: Audience, contact: bool) -> bool:
    """Whether who chose this shows to somebody, who is a contact or not."""
    return owner == "everyone" or (owner == "contacts" and contact)


def sees(viewer: Audience, other: Audience, contact: bool) -> bool:
    """Whether two people see each other. It is the same in both directions: who hides does not see either."""
    return shows(viewer, contact) and shows(other, contact)


def hangs_on_contact(viewer: Audience, other: Audience) -> bool:
    """Whether it matters for the two if they are contacts."""
    return sees(viewer, other, contact=True) != sees(viewer, other, contact=False)


def view_of(online: bool, seen_at_ms: int | None, visible: bool) -> View:
    """What is shown of somebody in this state."""
    if not visible:
        return HIDDEN
    return ONLINE if online else View(False, seen_at_ms)
