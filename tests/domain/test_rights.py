"""Who may pin, and who may recall whose message."""

from __future__ import annotations

import pytest

from domain.conversations import ALWAYS, Member, Members
from domain.ids import ConversationId, UserId
from domain.rights import may_pin, may_recall

OWNER, ADMIN, OTHER_ADMIN, MEMBER, OTHER = map(UserId, ("owner", "admin", "admin2", "member", "member2"))
ROLES = {OWNER: "member", ADMIN: "admin", OTHER_ADMIN: "admin", MEMBER: "member", OTHER: "member"}
GROUP = Members(
    ConversationId("g:abcdefghijklmnop"),
    1,
    {user: Member(user, role, ALWAYS) for user, role in ROLES.items()},
    OWNER,
)
PAIR = Members(
    ConversationId("d:a:b"), 0, {u: Member(u, "member", ALWAYS) for u in (UserId("a"), UserId("b"))}
)


def test_members_of_a_group_do_not_pin_and_both_people_of_a_pair_do():
    assert [may_pin(GROUP, user) for user in ROLES] == [True, True, True, False, False]
    assert may_pin(PAIR, UserId("b"))


@pytest.mark.parametrize(
    "user, sender, late, in_time",
    [
        (MEMBER, MEMBER, False, True),
        (MEMBER, OTHER, False, False),
        (MEMBER, ADMIN, False, False),
        (ADMIN, MEMBER, True, True),
        (ADMIN, ADMIN, True, True),
        (ADMIN, OTHER_ADMIN, False, False),
        (ADMIN, OWNER, False, False),
        (OWNER, ADMIN, True, True),
        (OWNER, OWNER, True, True),
    ],
)
def test_recall_is_for_the_sender_in_time_and_for_who_ranks_above_always(user, sender, late, in_time):
    assert may_recall(GROUP, user, sender, in_time=False) == late
    assert may_recall(GROUP, user, sender, in_time=True) == in_time


def test_in_a_pair_each_recalls_their_own_in_time():
    a, b = PAIR.by_user
    assert may_recall(PAIR, a, a, in_time=True)
    assert not may_recall(PAIR, a, a, in_time=False)
    assert not may_recall(PAIR, a, b, in_time=True)
