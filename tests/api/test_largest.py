"""The largest of everything, all at once, from one device to another, over HTTP and socket."""

from __future__ import annotations

import json

import pytest

from tests.api.people import good, refused
from tests.domain.test_limits import escaped, escaped_object

TEXT = "x" * 65_536
MANY = 24


def largest(**fields: str) -> str:
    """A send whose every text is as long as it may be, each character escaped."""
    values = {
        "client_message_id": escaped(fields["name"] + "😀" * (128 - len(fields["name"]))),
        "kind": escaped("text"),
        "body": escaped_object(text=escaped(TEXT)),
        "conversation_id": escaped(fields["conversation"]),
        "to": "null",
    }
    if "ref" in fields:
        values |= {"type": escaped("send"), "ref": escaped(fields["ref"])}
    return escaped_object(**values)


@pytest.fixture
def longest(server):
    """Two people with the longest ids, and their conversation."""
    ann, bob = (server.person(first + "@" * 63, "d" * 64) for first in "ab")
    return ann, bob, ann.direct(bob)


def texts(entries: list) -> list[int]:
    return [len(entry["message"]["body"]["text"]) for entry in entries]


def test_longest_text_goes_from_device_to_device(longest):
    ann, bob, conversation = longest
    with bob.socket() as device, ann.socket() as socket:
        start = device.welcome["head"]
        answer = ann.ask("POST", "/v1/messages", content=largest(name="http", conversation=conversation))
        assert answer.status_code == 201, answer.text
        ref = "😀" * 1024
        socket.connection.send(largest(name="socket", conversation=conversation, ref=ref))
        assert socket.answer("sent")["ref"] == ref
        assert texts(device.entries(2)) == [65_536, 65_536]
    assert texts(bob.get("/v1/sync", cursor=start)["entries"]) == [65_536, 65_536]


def test_text_of_a_byte_more_is_too_large_over_both(longest):
    ann, _, conversation = longest
    sent = {
        "client_message_id": "more",
        "kind": "text",
        "conversation_id": conversation,
        "body": {"text": TEXT + "x"},
    }
    assert refused(ann.ask("POST", "/v1/messages", json=sent), 413, "too_large")["field"] == "body.text"
    with ann.socket() as socket:
        socket.say(type="send", ref=1, **sent)
        assert socket.answer("error")["error"]["code"] == "too_large"


def test_device_that_was_away_catches_up_on_many_of_the_longest(longest):
    ann, bob, conversation = longest
    start = bob.get("/v1/sync", limit=1)["head"]
    for number in range(MANY):
        good(ann.ask("POST", "/v1/messages", content=largest(name=f"n{number}", conversation=conversation)))
    bob.arrived(start + MANY)
    with bob.socket(cursor=start) as device:
        assert texts(device.entries(MANY)) == [65_536] * MANY
    pulled, cursor, more = [], start, True
    while more:
        page = bob.ask("GET", "/v1/sync", params={"cursor": cursor, "limit": 200})
        assert len(page.content) < 6_000_000
        pulled += page.json()["entries"]
        cursor, more = page.json()["cursor"], page.json()["more"]
    assert texts(pulled) == [65_536] * MANY
    read: list = []
    path = f"/v1/conversations/{conversation}/messages"
    while len(read) < MANY:
        before = {"before": read[0]["seq"]} if read else {}
        page = bob.get(path, limit=200, **before)
        read = page["messages"] + read
        assert page["more"] or len(read) >= MANY
    assert [message["seq"] for message in read] == sorted(message["seq"] for message in read)


def test_largest_group_is_made_by_one_request(server, person):
    ann = person()
    ids = [f"{number:04d}".ljust(64, ".") for number in range(999)]
    for user in ids:
        good(server.admin("PUT", f"/v1/users/{user}", json={}))
    members = ",".join(map(escaped, ids))
    content = escaped_object(kind=escaped("group"), title=escaped("😀" * 200), members=f"[{members}]")
    made = good(ann.ask("POST", "/v1/conversations", content=content))
    assert sorted(made["members"]) == sorted([*ids, ann.user_id])
    answer = ann.ask(
        "POST", "/v1/messages", content=largest(name="all", conversation=made["conversation_id"])
    )
    assert answer.status_code == 201
    last = server.admin("POST", "/v1/tokens", json={"user_id": ids[-1], "device_id": "phone"}).json()["token"]
    headers = {"Authorization": f"Bearer {last}"}
    page = server.http.get("/v1/sync", params={"wait_s": 60}, headers=headers).json()
    assert texts(page["entries"]) == [65_536]
    assert json.loads(content)["title"] == made["title"]
