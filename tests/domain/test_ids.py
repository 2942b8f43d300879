from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    CONVERSATION_ID_PATTERN,
    ID_PATTERN,
    direct_id,
    direct_pair,
    id_list_pattern,
    inbox_partition,
    is_account_id,
    message_id,
    new_group_id,
    other_of,
)

user_ids = st.from_regex(r"[A-Za-z0-9_.@-]{1,64}", fullmatch=True).filter(lambda id_: id_ not in {".", ".."})


def is_conversation_id(text):
    return re.search(CONVERSATION_ID_PATTERN, text) is not None


@given(user_ids, user_ids)
def test_two_people_have_one_conversation_whoever_asks(one, other):
    assert direct_id(one, other) == direct_id(other, one)


@given(user_ids, user_ids)
def test_direct_id_tells_its_two_people(one, other):
    made = direct_id(one, other)
    assert sorted(direct_pair(made)) == sorted((one, other))
    assert is_conversation_id(made)


def test_notes_are_the_conversation_with_oneself():
    assert direct_id("ann", "ann") == "d:ann:ann"
    assert direct_pair("d:ann:ann") == ("ann", "ann")


def test_group_has_no_pair():
    assert direct_pair(new_group_id()) is None


@given(user_ids, user_ids)
def test_each_of_two_people_has_the_other(one, other):
    assert other_of(one, direct_id(one, other)) == other
    assert other_of(other, direct_id(one, other)) == one


def test_notes_are_with_oneself_and_a_group_is_with_nobody_in_particular():
    assert other_of("ann", "d:ann:ann") == "ann"
    assert other_of("ann", new_group_id()) is None


def test_group_ids_are_fresh_and_well_formed():
    made = {new_group_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(is_conversation_id, made))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d:",
        "d:ann",
        "d:ann:",
        "d:ann:bob:cem",
        "g:",
        "g:ABCDEFGHIJKLMNOP",
        "g:abc",
        "x:ann:bob",
        "d:a b:c",
    ],
)
def test_other_forms_are_no_conversation_ids(text):
    assert not is_conversation_id(text)


def test_ids_do_not_end_in_a_newline():
    assert not is_conversation_id("d:ann:bob\n")
    assert re.search(ID_PATTERN, "ann")
    assert not re.search(ID_PATTERN, "ann\n")


def test_message_id_is_conversation_and_seq():
    assert message_id("d:ann:bob", 7) == "d:ann:bob:7"


@given(user_ids, st.integers(1, 1024))
def test_inbox_partition_is_crc32_modulo_partitions(user, partitions):
    assert inbox_partition(user, partitions) == zlib.crc32(user.encode()) % partitions


def test_inbox_partition_never_changes():
    """Inboxes are written where they were always written: these values are part of the data."""
    assert [inbox_partition(user, 32) for user in ("ann", "bob", "cem", "a.b@c_d-1")] == [19, 0, 12, 13]


@given(user_ids)
def test_every_other_id_of_dots_and_letters_is_one(user):
    assert is_account_id(user)
    assert re.search(ID_PATTERN, user)


@pytest.mark.parametrize("user", ["...", ".a", "..a", "a..", "a.b", "._", ".@", "-"])
def test_id_may_begin_and_end_with_dots(user):
    assert is_account_id(user)
    assert is_conversation_id(direct_id(user, "ann"))


@pytest.mark.parametrize("user", [".", "..", "", "a" * 65, ".\n", "..\n", "a/b"])
def test_id_that_no_path_can_hold_is_none(user):
    assert not is_account_id(user)
    assert not is_conversation_id(direct_id(user, "ann"))
    assert not is_conversation_id(direct_id(user, "zoe"))


@pytest.mark.parametrize(
    ("text", "fits"),
    [("ann", True), ("ann,b.o.b", True), ("a,b,c", True), ("a,b,c,d", False), ("", False), ("a,", False)]
    + [(text, False) for text in (",a", "a,,b", "a, b", "a,.", "..,a", "a,b\n", "a;b")],
)
def test_list_of_ids_is_ids_with_commas_between(text, fits):
    assert (re.match(id_list_pattern(3), text) is not None) is fits
