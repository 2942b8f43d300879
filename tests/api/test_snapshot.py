"""What a new device shows first, and the filters of the list."""

from __future__ import annotations

from tests.api.people import message
from tests.api.test_own import read, set_own


def texts(row: dict) -> list[str]:
    return [one["body"]["text"] for one in row["messages"]]


def test_snapshot_has_the_newest_messages_of_each_conversation_and_where_to_sync_from(ann, bob, cem):
    first, second = ann.direct(bob), ann.direct(cem)
    for n in range(5):
        ann.send(first, f"to bob {n}")
    ann.send(second, "to cem")
    ann.arrived(6)
    snapshot = ann.get("/v1/snapshot", messages=3)
    assert [row["conversation_id"] for row in snapshot["conversations"]] == [second, first]
    assert [texts(row) for row in snapshot["conversations"]] == [
        ["to cem"],
        ["to bob 2", "to bob 3", "to bob 4"],
    ]
    assert (snapshot["head"], snapshot["more"], snapshot["cursor"]) == (6, False, None)
    rows = ann.get("/v1/conversations")["conversations"]
    assert [{k: v for k, v in row.items() if k != "messages"} for row in snapshot["conversations"]] == rows
    ann.send(first, "later")
    entries = ann.arrived(7)[snapshot["head"] :]
    assert [entry["message"]["body"]["text"] for entry in entries] == ["later"]


def test_snapshot_pages_have_each_conversation_once_and_the_head_of_the_first(ann, person):
    others = [person() for _ in range(5)]
    conversations = [ann.direct(other) for other in others]
    for conversation in conversations:
        ann.send(conversation)
    ann.arrived(5)
    page = ann.get("/v1/snapshot", limit=2)
    seen = [row["conversation_id"] for row in page["conversations"]]
    ann.send(conversations[0], "moves up")
    ann.arrived(6)
    while page["more"]:
        page = ann.get("/v1/snapshot", limit=2, cursor=page["cursor"])
        seen += [row["conversation_id"] for row in page["conversations"]]
        assert page["head"] == 5
    assert seen == conversations[::-1]


def test_snapshot_leaves_out_what_is_hidden_and_shows_what_is_answered(ann, bob):
    conversation = ann.direct(bob)
    asked, hidden = ann.send(conversation, "when?"), ann.send(conversation, "hidden")
    ann.ask("DELETE", f"/v1/messages/{hidden['message_id']}/mine")
    bob.post("/v1/messages", **message(conversation, "now"), reply_to=asked["message_id"])
    ann.arrived(4)
    snapshot = ann.get("/v1/snapshot", messages=1)
    assert [texts(row) for row in snapshot["conversations"]] == [["now"]]
    assert [one["message_id"] for one in snapshot["referenced"]] == [asked["message_id"]]
    assert texts(ann.get("/v1/snapshot")["conversations"][0]) == ["when?", "now"]
    listed = ann.get("/v1/conversations")
    assert [one["message_id"] for one in listed["referenced"]] == [asked["message_id"]]


def test_snapshot_of_a_new_user_is_empty(ann):
    assert ann.get("/v1/snapshot") == {
        "head": 0,
        "conversations": [],
        "cursor": None,
        "more": False,
        "referenced": [],
    }


def test_filters_give_what_they_name_on_pages_of_any_size(ann, person):
    others = [person() for _ in range(6)]
    conversations = [ann.direct(other) for other in others]
    for other, conversation in zip(others, conversations, strict=True):
        other.send(conversation)
    ann.arrived(6)
    newest_first = conversations[::-1]
    for conversation in conversations[:3]:
        set_own(ann, conversation, pinned=True)
    set_own(ann, conversations[0], archived=True)
    for conversation in conversations[1:4]:
        read(ann, conversation, 1)
    ann.ask("PUT", f"/v1/conversations/{conversations[1]}/unread", json={})

    def listed(**filters: str) -> list[str]:
        found, page = [], {"more": True, "cursor": None}
        while page["more"]:
            cursor = {} if page["cursor"] is None else {"cursor": page["cursor"]}
            page = ann.get("/v1/conversations", limit=2, **filters, **cursor)
            assert len(page["conversations"]) <= 2
            found += [row["conversation_id"] for row in page["conversations"]]
        return found

    pinned, read_ones = conversations[:3], {conversations[2], conversations[3]}
    assert listed(pinned="true") == [c for c in newest_first if c in pinned]
    assert listed(pinned="false") == [c for c in newest_first if c not in pinned]
    assert listed(archived="true") == conversations[:1]
    assert listed(unread="false") == [c for c in newest_first if c in read_ones]
    assert listed(unread="true") == [c for c in newest_first if c not in read_ones]
    assert listed(unread="true", pinned="true", archived="false") == [conversations[1]]


def test_filtered_list_references_nothing_for_rows_that_it_leaves_out(ann, bob):
    conversation = ann.direct(bob)
    asked = bob.send(conversation, "when?")
    ann.post("/v1/messages", **message(conversation, "now"), reply_to=asked["message_id"])
    read(ann, conversation, 2)
    ann.arrived(3)
    listed = ann.get("/v1/conversations", unread="true")
    assert (listed["conversations"], listed["referenced"]) == ([], [])
    assert len(ann.get("/v1/conversations", unread="false")["referenced"]) == 1


def test_filter_that_is_neither_true_nor_false_is_refused(ann):
    response = ann.ask("GET", "/v1/conversations", params={"pinned": "perhaps"})
    assert response.json()["error"]["field"] == "pinned"
    assert response.status_code == 400
