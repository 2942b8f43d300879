"""Who sees whom: the whole table."""

from __future__ import annotations

import pytest

from domain.presence import HIDDEN, ONLINE, View, hangs_on_contact, sees, view_of

# viewer, other: whether they see each other as strangers, and as contacts
TABLE = {
    ("everyone", "everyone"): (True, True),
    ("everyone", "contacts"): (False, True),
    ("everyone", "nobody"): (False, False),
    ("contacts", "everyone"): (False, True),
    ("contacts", "contacts"): (False, True),
    ("contacts", "nobody"): (False, False),
    ("nobody", "everyone"): (False, False),
    ("nobody", "contacts"): (False, False),
    ("nobody", "nobody"): (False, False),
}


@pytest.mark.parametrize(("viewer", "other"), TABLE)
def test_people_see_each_other_as_both_have_chosen(viewer, other):
    as_strangers, as_contacts = TABLE[viewer, other]
    assert sees(viewer, other, contact=False) is as_strangers
    assert sees(viewer, other, contact=True) is as_contacts
    assert TABLE[other, viewer] == TABLE[viewer, other], "it is the same in both directions"
    assert hangs_on_contact(viewer, other) is (as_strangers != as_contacts)


@pytest.mark.parametrize(
    ("online", "seen", "visible", "shown"),
    [
        (True, 5, True, ONLINE),
        (True, None, True, ONLINE),
        (False, 5, True, View(False, 5)),
        (False, None, True, HIDDEN),
        (True, 5, False, HIDDEN),
        (False, 5, False, HIDDEN),
    ],
)
def test_who_is_hidden_looks_like_somebody_who_was_never_there(online, seen, visible, shown):
    assert view_of(online, seen, visible) == shown
    assert ONLINE.seen_at_ms is None
