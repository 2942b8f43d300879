"""A user's own part in a conversation: read marks, unread messages, settings; and who is told of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.people import Person, message
from tests.api.test_changes import edit, entries_of, refused


def me(person: Person, conversation: str) -> dict:
    return person.get(f"/v1/conversations/{conversation}")["me"]


def read(person: Person, conversation: str, seq: int):
    return person.ask("PUT", f"/v1/conversations/{conversation}/read", json={"seq": seq})


def set_own(person: Person, conversation: str, **fields):
    return person.ask("PATCH", f"/v1/conversations/{conversation}/me", json=fields)


def test_read_mark_moves_forward_and_all_devices_hear_of_it(ann, bob):
    conversation = ann.direct(bob)
    for text in ("one", "two", "three"):
        ann.send(conversation, text)
    answer = read(bob, conversation, 2).json()
    assert (answer["read_seq"], answer["unread"]) == (2, 1)
    assert read(bob, conversation, 1).json() == answer
    (entry,) = entries_of(bob, "read")
    assert entry["read"].pop("rev") >= 1
    assert entry["read"] == {
        "conversation_id": conversation,
        "read_seq": 2,
        "unread": 1,
        "marked_unread": False,
    }
    row = bob.get("/v1/conversations")["conversations"][0]
    assert (row["read_seq"], row["unread"], row["me"]["unread"]) == (2, 1, 1)


def test_equal_read_marks_that_overlap_are_one_entry(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: read(bob, conversation, 1).json(), range(8)))
    assert answers == [answers[0]] * 8
    bob.send(conversation, "after them")
    entries = bob.arrived(3)
    assert sorted(entry["type"] for entry in entries) == ["message", "message", "read"]


def test_read_mark_is_a_receipt_for_the_other_one(ann, bob):
    conversation = ann.direct(bob)
    sent = ann.send(conversation)
    read(bob, conversation, 1)
    (entry,) = entries_of(ann, "receipt")
    assert entry["receipt"] == {"conversation_id": conversation, "user_id": bob.user_id, "read_seq": 1}
    (reader,) = ann.get(f"/v1/messages/{sent['message_id']}/readers")["readers"]
    assert reader["user_id"] == bob.user_id
    assert reader["read_at"] >= sent["sent_at"]


def test_read_mark_beyond_the_newest_message_is_refused(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    refused(read(bob, conversation, 2), 400, "bad_request", "seq")
    assert me(bob, conversation)["read_seq"] == 0


def test_own_messages_changes_and_recalled_ones_are_not_unread(ann, bob):
    conversation = ann.direct(bob)
    first, second = ann.send(conversation, "one"), ann.send(conversation, "two")
    bob.send(conversation, "mine")
    edit(ann, first, "edited")
    bob.ask("PUT", f"/v1/messages/{first['message_id']}/reactions/👍")
    assert me(bob, conversation)["unread"] == 2
    ann.ask("DELETE", f"/v1/messages/{second['message_id']}")
    assert me(bob, conversation)["unread"] == 1
    assert me(ann, conversation)["unread"] == 1


def test_unread_begins_at_joining(ann, bob, cem):
    group = ann.group(bob)
    ann.send(group)
    ann.ask("PUT", f"/v1/conversations/{group}/members/{cem.user_id}")
    ann.send(group)
    assert (me(bob, group)["unread"], me(cem, group)["unread"]) == (2, 1)


def test_conversation_marked_as_unread_is_so_until_it_is_read(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    read(bob, conversation, 1)
    for _ in range(2):
        answer = bob.ask("PUT", f"/v1/conversations/{conversation}/unread", json={}).json()
        assert (answer["read_seq"], answer["marked_unread"]) == (1, True)
    assert [e["read"]["marked_unread"] for e in entries_of(bob, "read", 2)] == [False, True]
    assert read(bob, conversation, 0).json() == {"read_seq": 1, "unread": 0, "marked_unread": False}
    assert me(bob, conversation)["marked_unread"] is False
    assert len(entries_of(bob, "read", 3)) == 3


def test_settings_are_synced_to_all_devices_of_the_user_alone(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    set_own(bob, conversation, pinned=True)
    answer = set_own(bob, conversation, muted_until="2099-01-02T03:04:05+01:00", draft="so").json()
    assert (answer["pinned"], answer["muted_until"]) == (True, "2099-01-02T02:04:05.000Z")
    assert set_own(bob, conversation, draft="so").json() == answer
    earlier, entry = (one["settings"] for one in entries_of(bob, "settings", 2))
    assert entry.pop("rev") > earlier["rev"]
    assert entry == {
        "conversation_id": conversation,
        "pinned": True,
        "archived": False,
        "muted_until": "2099-01-02T02:04:05.000Z",
        "draft": "so",
    }
    cleared = set_own(bob, conversation, muted_until=None, draft=None, pinned=None).json()
    assert (cleared["muted_until"], cleared["draft"], cleared["pinned"]) == (None, None, True)
    assert me(ann, conversation)["pinned"] is False
    ann.send(conversation)
    assert [entry["type"] for entry in ann.arrived(2)] == ["message", "message"]


def test_cleared_messages_are_gone_for_one_person_alone(ann, bob):
    conversation = ann.direct(bob)
    old = ann.send(conversation, "old")
    assert set_own(bob, conversation, cleared_seq=old["seq"]).json()["cleared_seq"] == 1
    row = bob.get("/v1/conversations")["conversations"][0]
    assert (row["last_message"], row["unread"], row["head_seq"]) == (None, 0, 0)
    new = ann.send(conversation, "new")
    assert set_own(bob, conversation, cleared_seq=0).json()["cleared_seq"] == 1
    page = bob.get(f"/v1/conversations/{conversation}/messages")
    assert [m["seq"] for m in page["messages"]] == [new["seq"]]
    assert len(ann.get(f"/v1/conversations/{conversation}/messages")["messages"]) == 2
    refused(set_own(bob, conversation, cleared_seq=99), 400, "bad_request", "cleared_seq")


@pytest.mark.parametrize(
    "fields, status, code, field",
    [
        ({"draft": "ä" * 2_001}, 413, "too_large", "draft"),
        ({"muted_until": "tomorrow"}, 400, "bad_request", "muted_until"),
        ({"muted_until": "2099-01-02T03:04:05"}, 400, "bad_request", "muted_until"),
        ({"muted_until": "2099-W10-1T08:00:00Z"}, 400, "bad_request", "muted_until"),
        ({"pinned": "yes"}, 400, "bad_request", "pinned"),
        ({"colour": "red"}, 400, "bad_request", "colour"),
        ({"cleared_seq": -1}, 400, "bad_request", "cleared_seq"),
    ],
)
def test_bad_settings_are_refused_and_change_nothing(ann, bob, fields, status, code, field):
    conversation = ann.direct(bob)
    before = me(ann, conversation)
    refused(set_own(ann, conversation, **fields), status, code, field)
    assert me(ann, conversation) == before


def test_strangers_have_no_part(ann, bob, cem):
    conversation = ann.direct(bob)
    ann.send(conversation)
    refused(read(cem, conversation, 1), 403, "forbidden", "conversation_id")
    refused(set_own(cem, conversation, pinned=True), 403, "forbidden", "conversation_id")
    refused(cem.ask("GET", f"/v1/conversations/{conversation}/pins"), 403, "forbidden", "conversation_id")


def test_readers_are_for_the_sender(ann, bob, cem):
    group = ann.group(bob, cem)
    sent = ann.send(group)
    for person in (bob, cem):
        read(person, group, sent["seq"])
    readers = ann.get(f"/v1/messages/{sent['message_id']}/readers")["readers"]
    assert [one["user_id"] for one in readers] == sorted([bob.user_id, cem.user_id])
    refused(bob.ask("GET", f"/v1/messages/{sent['message_id']}/readers"), 403, "forbidden", "message_id")


def test_unread_is_exact_to_a_thousand(ann, bob):
    conversation = ann.direct(bob)
    batch = [message(conversation, f"m{n}") for n in range(1_003)]
    for start in range(0, len(batch), 100):
        ann.post("/v1/messages:batch", messages=batch[start : start + 100])
    assert (me(bob, conversation)["unread"], me(bob, conversation)["unread_more"]) == (1_000, True)
    answer = read(bob, conversation, 3).json()
    assert (answer["unread"], "unread_more" in answer) == (1_000, False)
    assert read(bob, conversation, 5).json()["unread"] == 998


def test_count_that_may_be_more_passes_for_unread(ann, bob):
    """The mention lies behind more own messages than a count looks at."""
    conversation = ann.group(bob)
    ann.post("/v1/messages", **message(conversation, mentions=[bob.user_id]))
    batch = [message(conversation, f"m{n}") for n in range(4_100)]
    for start in range(0, len(batch), 100):
        bob.post("/v1/messages:batch", messages=batch[start : start + 100])
    bob.arrived(4_101)
    now = me(bob, conversation)
    assert (now["unread"], now["unread_more"], now["mentions"]) == (0, True, 1)
    rows = {
        unread: bob.get("/v1/conversations", unread=unread)["conversations"] for unread in ("true", "false")
    }
    assert [row["conversation_id"] for row in rows["true"]] == [conversation]
    assert rows["false"] == []


def test_sender_is_told_how_far_messages_are_on_a_device(ann, bob, cem):
    conversation, group = ann.direct(bob), ann.group(bob, cem)
    first, second = ann.send(conversation, "one"), ann.send(conversation, "two")
    ann.send(group)
    bob.arrived(3)
    bob.post("/v1/sync/ack", cursor=3)
    (entry,) = entries_of(ann, "receipt")
    assert entry["receipt"] == {
        "conversation_id": conversation,
        "user_id": bob.user_id,
        "delivered_seq": second["seq"],
    }
    assert first["seq"] < second["seq"]


def test_own_messages_on_own_devices_tell_nobody(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    bob.send(conversation)
    for person in (bob, ann):
        person.arrived(2)
        person.post("/v1/sync/ack", cursor=2)
    for person, seq in ((ann, 1), (bob, 2)):
        (entry,) = entries_of(person, "receipt")
        assert entry["receipt"]["delivered_seq"] == seq
