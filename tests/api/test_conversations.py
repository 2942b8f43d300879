"""Sends, repetitions, conversations, their history and their list."""

from __future__ import annotations

from tests.api.people import message, refused


def texts(messages):
    return [one["body"]["text"] for one in messages]


def test_a_repeated_send_gets_the_same_answer(ann, bob):
    sent = message(ann.direct(bob))
    first = ann.ask("POST", "/v1/messages", json=sent)
    again = ann.ask("POST", "/v1/messages", json=sent)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json().keys() == {"message_id", "conversation_id", "seq", "sent_at"}
    assert len(bob.arrived(1)) == 1


def test_the_same_id_with_other_content_is_a_conflict(ann, bob):
    sent = message(ann.direct(bob))
    ann.post("/v1/messages", **sent)
    other = sent | {"body": {"text": "something else"}}
    refused(ann.ask("POST", "/v1/messages", json=other), 409, "conflict")
    assert texts(ann.get(f"/v1/conversations/{sent['conversation_id']}/messages")["messages"]) == ["hello"]


def test_a_message_to_a_user_opens_their_conversation(ann, bob):
    sent = message("") | {"to": bob.user_id}
    del sent["conversation_id"]
    assert ann.post("/v1/messages", **sent)["conversation_id"] == bob.direct(ann)


def test_both_sides_get_the_same_direct_conversation(ann, bob):
    first = ann.ask("POST", "/v1/conversations", json={"kind": "direct", "with": bob.user_id})
    assert first.status_code == 201
    again = bob.ask("POST", "/v1/conversations", json={"kind": "direct", "with": ann.user_id})
    assert again.status_code == 200
    opened, found = first.json(), again.json()
    assert opened.pop("with") == {"user_id": bob.user_id, "name": None}
    assert found.pop("with") == {"user_id": ann.user_id, "name": None}
    assert opened == found
    assert opened["members"] == sorted([ann.user_id, bob.user_id])


def test_notes_to_oneself_give_one_entry_for_each_send(ann):
    notes = ann.direct(ann)
    for number in range(3):
        ann.send(notes, f"note {number}")
    entries = ann.arrived(3)
    assert [entry["seq"] for entry in entries] == [1, 2, 3]
    assert texts(entry["message"] for entry in entries) == ["note 0", "note 1", "note 2"]
    assert ann.get("/v1/sync")["head"] == 3


def test_an_entry_holds_the_message_as_history_shows_it(ann, bob):
    conversation = ann.direct(bob)
    sent = ann.send(conversation)
    (entry,) = bob.arrived(1)
    (shown,) = bob.get(f"/v1/conversations/{conversation}/messages")["messages"]
    assert entry == {"seq": 1, "type": "message", "message": shown}
    assert sent.items() <= shown.items()
    assert shown["message_id"] == f"{conversation}:1"


def test_history_is_read_from_either_end(ann, bob):
    conversation = ann.direct(bob)
    for number in range(1, 6):
        ann.send(conversation, str(number))

    def page(**asked):
        answer = bob.get(f"/v1/conversations/{conversation}/messages", **asked)
        return [one["seq"] for one in answer["messages"]], answer["more"]

    assert page() == ([1, 2, 3, 4, 5], False)
    assert page(limit=2) == ([4, 5], True)
    assert page(limit=2, before=4) == ([2, 3], True)
    assert page(limit=2, before=3) == ([1, 2], False)
    assert page(before=1) == ([], False)
    assert page(limit=2, after=0) == ([1, 2], True)
    assert page(limit=2, after=3) == ([4, 5], False)
    assert page(after=5) == ([], False)
    assert page(after=1, before=5) == ([2, 3, 4], False)


def test_the_list_has_the_newest_activity_first(ann, bob, cem):
    with_bob, with_cem, group = ann.direct(bob), ann.direct(cem), ann.group(bob, cem, title="us")
    for conversation in (group, with_cem, with_bob, with_cem):
        ann.send(conversation, "one more")
    rows = ann.get("/v1/conversations")["conversations"]
    assert [row["conversation_id"] for row in rows] == [with_cem, with_bob, group]
    assert [row["title"] for row in rows] == [None, None, "us"]
    assert rows[0]["last_message"]["message_id"] == f"{with_cem}:{rows[0]['head_seq']}"


def test_the_list_counts_what_others_sent_as_unread(ann, bob):
    conversation = ann.direct(bob)
    ann.send(conversation)
    ann.send(conversation)
    bob.send(conversation)
    (of_ann,) = ann.get("/v1/conversations")["conversations"]
    (of_bob,) = bob.get("/v1/conversations")["conversations"]
    assert (of_ann["unread"], of_ann["read_seq"], of_ann["head_seq"]) == (1, 0, 3)
    assert of_bob["unread"] == 2
    assert of_ann["last_message"]["sender_id"] == bob.user_id


def test_the_list_is_read_page_by_page(ann, person):
    opened = [ann.direct(person()) for _ in range(5)]
    for conversation in opened:
        ann.send(conversation)
    ann.arrived(len(opened))
    found, asked = [], {}
    while True:
        page = ann.get("/v1/conversations", limit=2, **asked)
        found += [row["conversation_id"] for row in page["conversations"]]
        if not page["more"]:
            break
        asked = {"cursor": page["cursor"]}
    assert page["cursor"] is None
    assert found == opened[::-1]


def test_a_group_is_renamed_joined_and_left(ann, bob, cem):
    group = ann.group(bob)
    path = f"/v1/conversations/{group}"
    assert ann.ask("PATCH", path, json={"title": "new"}).json()["title"] == "new"
    added = ann.ask("PUT", f"{path}/members/{cem.user_id}").json()
    assert added["members"] == sorted([ann.user_id, bob.user_id, cem.user_id])
    assert bob.ask("DELETE", f"{path}/members/{bob.user_id}").status_code == 200
    refused(bob.ask("POST", "/v1/messages", json=message(group)), 403, "forbidden")


def test_a_direct_conversation_names_the_other_person(person):
    ann, bob = person(name="Ann"), person(name="Bob")
    conversation = ann.direct(bob)
    assert ann.get(f"/v1/conversations/{conversation}")["with"] == {"user_id": bob.user_id, "name": "Bob"}
    assert bob.get(f"/v1/conversations/{conversation}")["with"] == {"user_id": ann.user_id, "name": "Ann"}


def test_the_list_names_the_other_person_of_each_direct_conversation(person):
    ann, bob, cem = person(name="Ann"), person(name="Bob"), person()
    with_bob, with_cem, notes, group = ann.direct(bob), ann.direct(cem), ann.direct(ann), ann.group(bob)
    rows = ann.get("/v1/conversations")["conversations"]
    assert {row["conversation_id"]: row.get("with") for row in rows} == {
        with_bob: {"user_id": bob.user_id, "name": "Bob"},
        with_cem: {"user_id": cem.user_id, "name": None},
        notes: {"user_id": ann.user_id, "name": "Ann"},
        group: None,
    }
    assert "with" not in ann.get(f"/v1/conversations/{group}")
