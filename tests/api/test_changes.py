"""Edits, recalls, reactions, pins and what quotes other messages, over HTTP."""

from __future__ import annotations

import time

import pytest

from tests.api.people import message
from tests.patience import PATIENCE_S


def refused(response, status: int, code: str, field: str | None = None) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("field")) == (status, code, field)
    return error["message"]


def edit(person, sent, text: str = "changed", name: str = "e1", **fields):
    body = {"client_message_id": name, "body": {"text": text}, **fields}
    return person.ask("PATCH", f"/v1/messages/{sent['message_id']}", json=body)


def entries_of(person, type_: str, count: int = 1) -> list:
    """The entries of one type in the inbox, once there are so many."""
    end = time.monotonic() + PATIENCE_S
    while True:
        page = person.get("/v1/sync", limit=200)
        found = [entry for entry in page["entries"] if entry["type"] == type_]
        if len(found) >= count:
            return found
        assert time.monotonic() < end, f"{len(found)} of {count} entries {type_}"
        person.get("/v1/sync", cursor=page["cursor"], wait_s=1)


def test_edit_is_seen_by_all_in_history_list_and_inbox(ann, bob):
    conversation = ann.direct(bob)
    sent = ann.send(conversation, "helo")
    edited = edit(ann, sent, "hello").json()
    assert (edited["body"], edited["message_id"]) == ({"text": "hello"}, sent["message_id"])
    assert edited["rev"] > sent["seq"]
    assert edited["edited_at"] >= sent["sent_at"]
    (entry,) = entries_of(bob, "edit")
    assert entry["edit"] == edited
    assert bob.get(f"/v1/messages/{sent['message_id']}") == edited
    history = bob.get(f"/v1/conversations/{conversation}/messages")
    assert history["messages"] == [edited]
    assert bob.get("/v1/conversations")["conversations"][0]["last_message"] == edited


def test_edit_again_is_the_same_and_with_another_body_a_conflict(ann, bob):
    sent = ann.send(ann.direct(bob))
    first = edit(ann, sent, "one")
    assert edit(ann, sent, "one").json() == first.json()
    refused(edit(ann, sent, "two"), 409, "conflict", "client_message_id")
    assert ann.get(f"/v1/messages/{sent['message_id']}/versions")["versions"][-1]["body"] == {"text": "one"}


def test_name_of_an_edit_is_one_among_those_of_its_message(ann, bob):
    conversation = ann.direct(bob)
    first, second = ann.send(conversation), ann.send(conversation)
    assert edit(ann, first, "one").json()["body"] == {"text": "one"}
    assert edit(ann, second, "two").json()["body"] == {"text": "two"}


def test_null_in_an_edit_is_the_same_as_absent(ann, bob):
    sent = ann.post("/v1/messages", **message(ann.direct(bob), kind="image", body={"url": "u"}))
    one = {"client_message_id": "e1", "body": {"url": "v"}}
    with_null = {"client_message_id": "e1", "body": {"url": "v", "name": None}}
    path = f"/v1/messages/{sent['message_id']}"
    assert ann.ask("PATCH", path, json=one).json() == ann.ask("PATCH", path, json=with_null).json()


def test_versions_are_all_that_a_message_said(ann, bob):
    sent = ann.send(ann.direct(bob), "one")
    revs = [edit(ann, sent, text, name=text).json()["rev"] for text in ("two", "three")]
    versions = bob.get(f"/v1/messages/{sent['message_id']}/versions")["versions"]
    assert [one["body"]["text"] for one in versions] == ["one", "two", "three"]
    assert [one["rev"] for one in versions] == [sent["seq"], *revs]


def test_only_the_sender_edits(ann, bob, cem):
    sent = ann.send(ann.direct(bob))
    refused(edit(bob, sent), 403, "forbidden", "message_id")
    refused(edit(cem, sent), 404, "not_found", "message_id")
    refused(edit(ann, {"message_id": sent["message_id"] + "9"}), 404, "not_found", "message_id")


def test_edit_is_checked_like_a_send(ann, bob):
    sent = ann.send(ann.direct(bob))
    refused(edit(ann, sent, ""), 400, "bad_request", "body.text")
    refused(edit(ann, sent, "x" * 65_537), 413, "too_large", "body.text")
    refused(edit(ann, sent, mentions=["nobody"]), 400, "bad_request", "mentions")


def test_recalled_text_is_nowhere(ann, bob, server):
    conversation = ann.direct(bob)
    sent = ann.send(conversation, "secret one")
    edit(ann, sent, "secret two")
    assert ann.ask("PUT", f"/v1/messages/{sent['message_id']}/reactions/👍").status_code == 200
    recalled = ann.ask("DELETE", f"/v1/messages/{sent['message_id']}").json()
    assert recalled["body"] == {}
    assert recalled["recalled"]["by"] == ann.user_id
    assert "reactions" not in recalled
    entries_of(bob, "recall")
    for path in (
        "/v1/sync?limit=200",
        f"/v1/conversations/{conversation}/messages",
        "/v1/conversations",
        f"/v1/messages/{sent['message_id']}",
        f"/v1/messages/{sent['message_id']}/versions",
    ):
        assert "secret" not in bob.ask("GET", path).text, path
    refused(bob.ask("GET", f"/v1/messages/{sent['message_id']}/versions"), 409, "conflict", "message_id")
    kept = server.admin("GET", f"/v1/messages/{sent['message_id']}/versions").json()["versions"]
    assert [one["body"]["text"] for one in kept] == ["secret one", "secret two"]


def test_recall_again_answers_the_same(ann, bob):
    sent = ann.send(ann.direct(bob))
    first = ann.ask("DELETE", f"/v1/messages/{sent['message_id']}").json()
    assert ann.ask("DELETE", f"/v1/messages/{sent['message_id']}").json() == first
    assert len(entries_of(bob, "recall")) == 1


def test_who_has_left_gets_the_answer_of_what_they_did_before(ann, bob):
    group = ann.group(bob)
    sent = message(group)
    first, recalled = bob.post("/v1/messages", **sent), bob.send(group)
    gone = bob.ask("DELETE", f"/v1/messages/{recalled['message_id']}").json()
    assert bob.ask("DELETE", f"/v1/conversations/{group}/members/{bob.user_id}").status_code == 200
    again = bob.ask("POST", "/v1/messages", json=sent)
    assert (again.status_code, again.json()) == (200, first)
    assert bob.ask("DELETE", f"/v1/messages/{recalled['message_id']}").json() == gone
    other = {**sent, "body": {"text": "other"}}
    refused(bob.ask("POST", "/v1/messages", json=other), 403, "forbidden", "conversation_id")


def test_nothing_changes_a_recalled_message(ann, bob):
    sent = ann.send(ann.direct(bob))
    ann.ask("DELETE", f"/v1/messages/{sent['message_id']}")
    one = f"/v1/messages/{sent['message_id']}"
    refused(edit(ann, sent), 409, "conflict", "message_id")
    refused(bob.ask("PUT", f"{one}/reactions/👍"), 409, "conflict", "message_id")
    refused(bob.ask("PUT", f"{one}/pin"), 409, "conflict", "message_id")
    forward = {"to": bob.user_id, "client_message_id": "f", "forward_of": sent["message_id"]}
    refused(ann.ask("POST", "/v1/messages", json=forward), 409, "conflict", "forward_of")


def test_recall_is_for_the_sender_and_who_ranks_above(ann, bob, cem):
    group = ann.group(bob, cem)
    by_bob, by_ann = bob.send(group), ann.send(group)
    refused(cem.ask("DELETE", f"/v1/messages/{by_bob['message_id']}"), 403, "forbidden", "message_id")
    refused(bob.ask("DELETE", f"/v1/messages/{by_ann['message_id']}"), 403, "forbidden", "message_id")
    assert ann.ask("DELETE", f"/v1/messages/{by_bob['message_id']}").json()["recalled"]["by"] == ann.user_id


def test_hidden_message_is_gone_for_one_person_alone(ann, bob):
    conversation = ann.direct(bob)
    kept, sent = ann.send(conversation, "kept"), ann.send(conversation, "hidden")
    one = f"/v1/messages/{sent['message_id']}"
    for _ in range(2):
        assert bob.ask("DELETE", f"{one}/mine").json() == {}
    (entry,) = entries_of(bob, "hidden")
    assert entry["hidden"] == {"message_id": sent["message_id"]}
    refused(bob.ask("GET", one), 404, "not_found", "message_id")
    page = bob.get(f"/v1/conversations/{conversation}/messages", limit=1)
    assert [m["message_id"] for m in page["messages"]] == [kept["message_id"]]
    row = bob.get("/v1/conversations")["conversations"][0]
    assert (row["last_message"]["message_id"], row["unread"]) == (kept["message_id"], 1)
    assert ann.get(one)["body"] == {"text": "hidden"}


def test_reactions_are_counted_and_told(ann, bob):
    sent = ann.send(ann.direct(bob))
    one = f"/v1/messages/{sent['message_id']}"
    ann.ask("PUT", f"{one}/reactions/👍")
    both = bob.ask("PUT", f"{one}/reactions/👍").json()["reactions"]
    assert both == {"👍": {"count": 2, "by": [ann.user_id, bob.user_id], "mine": True}}
    assert bob.ask("PUT", f"{one}/reactions/:ok:").json()["reactions"][":ok:"]["count"] == 1
    left = bob.ask("DELETE", f"{one}/reactions/👍").json()["reactions"]
    assert left["👍"] == {"count": 1, "by": [ann.user_id]}
    end = time.monotonic() + PATIENCE_S
    now = {"👍": {"count": 1, "by": [ann.user_id]}, ":ok:": {"count": 1, "by": [bob.user_id]}}
    while entries_of(ann, "reactions")[-1]["reactions"]["reactions"] != now:
        assert time.monotonic() < end, "the last record is not right"
        ann.get("/v1/sync", cursor=ann.get("/v1/sync", limit=200)["cursor"], wait_s=1)
    assert ann.get(one)["reactions"]["👍"]["mine"] is True


@pytest.mark.parametrize("key", ["a", "👍👍", "::", ":no spaces:", "👍x", ":" + "x" * 31 + ":"])
def test_key_that_is_no_reaction_is_refused(ann, bob, key):
    sent = ann.send(ann.direct(bob))
    refused(ann.ask("PUT", f"/v1/messages/{sent['message_id']}/reactions/{key}"), 400, "bad_request", "key")


@pytest.mark.parametrize("key", ["⭐", "⭐\ufe0f", "❤\ufe0f", "👍\ufe0f", "👩🏽‍💻", ":+1:"])
def test_emoji_may_ask_for_its_picture(ann, bob, key):
    sent = ann.send(ann.direct(bob))
    answer = ann.ask("PUT", f"/v1/messages/{sent['message_id']}/reactions/{key}").json()
    assert list(answer["reactions"]) == [key]


def test_reactions_have_bounds(ann, bob):
    sent = ann.send(ann.direct(bob))
    one = f"/v1/messages/{sent['message_id']}/reactions"
    for key in (":a:", ":b:", ":c:", ":a:"):
        assert ann.ask("PUT", f"{one}/{key}").status_code == 200
    refused(ann.ask("PUT", f"{one}/:d:"), 409, "conflict", "key")


def test_pins_of_a_direct_conversation(ann, bob):
    conversation = ann.direct(bob)
    first, second = ann.send(conversation, "one"), bob.send(conversation, "two")
    for sent in (first, second, second):
        answer = ann.ask("PUT", f"/v1/messages/{sent['message_id']}/pin").json()
        assert answer == {"message_id": sent["message_id"], "pinned": True}
    pins = bob.get(f"/v1/conversations/{conversation}/pins")["messages"]
    assert [m["message_id"] for m in pins] == [second["message_id"], first["message_id"]]
    assert all(m["pinned"] for m in pins)
    assert bob.ask("DELETE", f"/v1/messages/{first['message_id']}/pin").json()["pinned"] is False
    told = [entry["pin"] for entry in entries_of(ann, "pin", 3)]
    assert [one["message_id"] for one in told] == [m["message_id"] for m in (first, second, first)]
    by_ann, by_bob = (True, ann.user_id), (False, bob.user_id)
    states = [(one["pinned"], one["by"]) for one in told]
    assert states[1:] == [by_ann, by_bob]
    assert states[0] in {by_ann, by_bob}  # an entry that is read later says what holds now


@pytest.mark.parametrize("body", [b'{"colour":"red"}', b"{{{", b"[]"])
def test_call_without_fields_takes_none(ann, bob, body):
    sent = ann.send(ann.direct(bob))
    for method, end in (("PUT", "pin"), ("PUT", "reactions/👍"), ("DELETE", "mine")):
        answer = ann.ask(method, f"/v1/messages/{sent['message_id']}/{end}", content=body)
        assert answer.json()["error"]["code"] == "bad_request"
    now = ann.get(f"/v1/messages/{sent['message_id']}")
    assert not {"pinned", "reactions"} & now.keys()
    assert ann.ask("PUT", f"/v1/messages/{sent['message_id']}/pin", content=b"{}").status_code == 200


def test_members_of_a_group_do_not_pin(ann, bob):
    sent = bob.send(ann.group(bob))
    refused(bob.ask("PUT", f"/v1/messages/{sent['message_id']}/pin"), 403, "forbidden", "message_id")
    assert ann.ask("PUT", f"/v1/messages/{sent['message_id']}/pin").status_code == 200


def test_reply_comes_with_what_it_answers(ann, bob):
    conversation = ann.direct(bob)
    asked = ann.send(conversation, "when?")
    reply = bob.post("/v1/messages", **message(conversation, "now"), reply_to=asked["message_id"])
    page = ann.get(f"/v1/conversations/{conversation}/messages", limit=1)
    assert page["messages"][0]["reply_to"] == asked["message_id"]
    assert [m["message_id"] for m in page["referenced"]] == [asked["message_id"]]
    assert ann.arrived(2)[1]["message"]["reply_to"] == asked["message_id"]
    ann.ask("DELETE", f"/v1/messages/{asked['message_id']}/mine")
    assert ann.get(f"/v1/conversations/{conversation}/messages")["referenced"] == []
    assert reply["seq"] == 2


def test_reply_to_what_is_not_there_is_refused(ann, bob, cem):
    conversation, other = ann.direct(bob), ann.send(ann.direct(cem))
    for name, status, code in (
        (f"{conversation}:99", 404, "not_found"),
        (other["message_id"], 400, "bad_request"),
    ):
        response = ann.ask("POST", "/v1/messages", json=message(conversation) | {"reply_to": name})
        refused(response, status, code, "reply_to")


def test_forward_copies_what_the_sender_can_read(ann, bob, cem):
    sent = ann.send(ann.direct(bob), "news")
    edit(ann, sent, "newer")
    body = {"to": cem.user_id, "client_message_id": "f1", "forward_of": sent["message_id"]}
    first = bob.ask("POST", "/v1/messages", json=body)
    assert first.status_code == 201
    got = cem.arrived(1)[0]["message"]
    assert (got["kind"], got["body"]) == ("text", {"text": "newer"})
    assert got["forward_of"] == {"message_id": sent["message_id"], "sender_id": ann.user_id}
    ann.ask("DELETE", f"/v1/messages/{sent['message_id']}")
    again = bob.ask("POST", "/v1/messages", json=body)
    assert (again.status_code, again.json()) == (200, first.json())
    refused(cem.ask("POST", "/v1/messages", json=body | {"to": ann.user_id}), 404, "not_found", "forward_of")


def test_forward_takes_no_content_of_its_own(ann, bob):
    sent = ann.send(ann.direct(bob))
    body = message(sent["conversation_id"]) | {"forward_of": sent["message_id"]}
    refused(ann.ask("POST", "/v1/messages", json=body), 400, "bad_request", "forward_of")
    refused(
        edit(
            ann,
            ann.post("/v1/messages", to=bob.user_id, client_message_id="f", forward_of=sent["message_id"]),
        ),
        403,
        "forbidden",
        "message_id",
    )


def test_mentions_are_counted_until_they_are_read(ann, bob, cem):
    group = ann.group(bob, cem)
    ann.post("/v1/messages", **message(group, "hey"), mentions=[bob.user_id])
    everybody = ann.post("/v1/messages", **message(group, "hey all"), mentions="all")
    plain = ann.send(group, "no one")
    me = bob.get(f"/v1/conversations/{group}")["me"]
    assert (me["unread"], me["mentions"]) == (3, 2)
    assert cem.get(f"/v1/conversations/{group}")["me"]["mentions"] == 1
    edit(ann, plain, "you", mentions=[cem.user_id])
    assert cem.get(f"/v1/conversations/{group}")["me"]["mentions"] == 2
    bob.ask("PUT", f"/v1/conversations/{group}/read", json={"seq": everybody["seq"]})
    assert bob.get(f"/v1/conversations/{group}")["me"]["mentions"] == 0
    assert ann.get(f"/v1/conversations/{group}")["me"]["mentions"] == 0


@pytest.mark.parametrize(
    "quoting",
    [{"mentions": ["zz"]}, {"reply_to": "g:abcdefghijklmnop:1"}, {"forward_of": "g:abcdefghijklmnop:1"}],
)
def test_refused_send_opens_no_conversation(ann, bob, quoting):
    content = {} if "forward_of" in quoting else {"kind": "text", "body": {"text": "hi"}}
    body = {"to": bob.user_id, "client_message_id": "c", **content, **quoting}
    assert ann.ask("POST", "/v1/messages", json=body).status_code in {400, 404}
    assert [person.get("/v1/conversations")["conversations"] for person in (ann, bob)] == [[], []]
    sent = ann.post("/v1/messages", to=bob.user_id, client_message_id="c", kind="text", body={"text": "hi"})
    assert sent["seq"] == 1


def test_mention_that_has_no_form_is_told_so(ann, bob):
    body = message(ann.direct(bob)) | {"mentions": ["!!"]}
    said = refused(ann.ask("POST", "/v1/messages", json=body), 400, "bad_request", "mentions[0]")
    assert "an id of 1 to 64 of the characters" in said


def test_mentions_are_members_and_few(ann, bob, cem):
    group = ann.group(bob)
    for mentions in ([cem.user_id], ["all", cem.user_id], [f"x{n}" for n in range(51)]):
        body = message(group) | {"mentions": mentions}
        refused(ann.ask("POST", "/v1/messages", json=body), 400, "bad_request", "mentions")


def test_batch_answers_each_message_by_itself(ann, bob, cem):
    conversation = ann.direct(bob)
    good = message(conversation, "one")
    batch = [
        good,
        {"client_message_id": "x"},
        message("g:abcdefghijklmnop"),
        good,
        {**message(""), "conversation_id": None, "to": cem.user_id},
    ]
    results = ann.post("/v1/messages:batch", messages=batch)["results"]
    assert [("seq" in one, one.get("error", {}).get("code")) for one in results] == [
        (True, None),
        (False, "bad_request"),
        (False, "not_found"),
        (True, None),
        (True, None),
    ]
    assert results[0] == results[3]
    assert ann.post("/v1/messages:batch", messages=batch)["results"] == results


def test_batch_has_bounds(ann, bob):
    one = message(ann.direct(bob))
    refused(
        ann.ask("POST", "/v1/messages:batch", json={"messages": [one] * 101}), 400, "bad_request", "messages"
    )
    refused(ann.ask("POST", "/v1/messages:batch", json={"messages": []}), 400, "bad_request", "messages")
