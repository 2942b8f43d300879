from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.conversations import ALWAYS, Member, Members, Window, direct_members
from domain.ids import MAX_SEQ, inbox_partition

GROUP = "g:abcdefghijklmnop"


def members(**stays: tuple[Window, ...]) -> Members:
    return Members(GROUP, 1, {user: Member(user, "member", windows) for user, windows in stays.items()})


def recipients(members: Members, seq: int, partitions: int = 4) -> set[str]:
    return {user for users in members.recipients(seq, partitions).values() for user in users}


def test_window_holds_from_its_join_to_before_its_leave():
    window = Window(3, 6)
    assert [seq for seq in range(1, 9) if window.holds(seq)] == [3, 4, 5]


def test_open_window_holds_every_later_number():
    assert Window(3).holds(MAX_SEQ)


def test_who_left_and_came_back_has_both_stays():
    member = Member("bob", "member", (Window(1, 3), Window(5)))
    assert [seq for seq in range(1, 7) if member.holds(seq)] == [1, 2, 5, 6]
    assert member.present


def test_who_left_is_not_present():
    assert not Member("bob", "member", (Window(1, 3),)).present
    assert not Member("bob", "member", ()).present


def test_recipients_are_those_whose_stay_holds_the_number():
    group = members(ann=ALWAYS, bob=(Window(1, 4),), cem=(Window(4),))
    assert recipients(group, 3) == {"ann", "bob"}
    assert recipients(group, 4) == {"ann", "cem"}


def test_sender_is_among_the_recipients():
    assert recipients(direct_members("d:ann:bob"), 1) == {"ann", "bob"}


@given(st.sets(st.text("abcdef", min_size=1, max_size=6), max_size=30), st.integers(1, 64))
def test_each_recipient_is_in_their_own_partition_once(users, partitions):
    spread = members(**dict.fromkeys(users, ALWAYS)).recipients(1, partitions)
    assert sorted(user for some in spread.values() for user in some) == sorted(users)
    assert all(inbox_partition(user, partitions) == p for p, some in spread.items() for user in some)


def test_stranger_is_no_member():
    group = members(ann=ALWAYS)
    assert not group.has("bob")
    assert not group.holds("bob", 1)


def test_members_of_a_direct_conversation_are_known_from_its_id():
    assert set(direct_members("d:ann:bob").by_user) == {"ann", "bob"}
    assert set(direct_members("d:ann:ann").by_user) == {"ann"}
    assert direct_members(GROUP) is None


def group_of(owner: str | None, **stays: tuple[str, tuple[Window, ...]]) -> Members:
    by_user = {user: Member(user, role, windows) for user, (role, windows) in stays.items()}
    return Members(GROUP, 1, by_user, owner)


LEFT, EARLY, LATE = (Window(1, 5),), (Window(2),), (Window(9),)


def test_group_whose_owner_is_a_member_needs_no_heir():
    assert group_of("ann", ann=("member", LATE), bob=("admin", EARLY)).heir is None


def test_admin_who_joined_first_takes_over_before_any_member():
    group = group_of(
        "ann", ann=("member", LEFT), bob=("member", EARLY), cem=("admin", LATE), dea=("admin", (Window(12),))
    )
    assert group.heir == "cem"


def test_member_who_joined_first_takes_over_where_there_is_no_admin():
    assert group_of("ann", ann=("member", LEFT), bob=("member", LATE), cem=("member", EARLY)).heir == "cem"


def test_who_came_back_counts_from_their_return_and_who_has_left_does_not_count():
    back = (Window(1, 3), Window(20))
    assert group_of(None, ann=("admin", LEFT), bob=("member", back), cem=("member", LATE)).heir == "cem"


def test_group_without_members_and_a_direct_conversation_have_no_heir():
    assert group_of("ann", ann=("member", LEFT)).heir is None
    assert direct_members("d:ann:bob").heir is None
