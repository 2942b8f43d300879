"""Who may do what to a message, by role. Pure: it is asked with a member list that is at hand."""

from __future__ import annotations

from typing import Literal

from domain.conversations import Members, Role
from domain.ids import UserId, is_group

Action = Literal["pin", "recall"]

_RANK: dict[Role, int] = {"member": 0, "admin": 1, "owner": 2}


def may_pin(members: Members, user: UserId) -> bool:
    """In a group its owner and admins; in a direct conversation both people."""
    return not is_group(members.conversation_id) or members.role_of(user) != "member"


def may_recall(members: Members, user: UserId, sender: UserId, *, in_time: bool) -> bool:
    """The sender in time, and in a group whoever ranks above the sender at any time.

    Admins recall their own messages at any time, too; those of other admins only the owner.
    """
    if not is_group(members.conversation_id):
        return user == sender and in_time
    mine = _RANK[members.role_of(user)]
    if user == sender:
        return in_time or mine > 0
    return mine > _RANK[members.role_of(sender)]
