"""The list of conversations as the API gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.api.people import Person, message, refused


def listed(person: Person, limit: int, between: Callable[[], object] = lambda: None) -> list[dict[str, Any]]:
    """All rows, page by page."""
    page = person.get("/v1/conversations", limit=limit)
    rows = page["conversations"]
    while page["more"]:
        between()
        page = person.get("/v1/conversations", limit=limit, cursor=page["cursor"])
        rows += page["conversations"]
    assert page["cursor"] is None
    return rows


def test_each_conversation_is_on_one_page_while_messages_come(ann, person):
    opened = [ann.direct(person()) for _ in range(7)]
    for conversation in opened:
        ann.send(conversation)
    ann.arrived(7)
    moved = iter([opened[0], opened[6], opened[3]])

    def between() -> None:
        ann.send(next(moved, opened[1]))

    rows = listed(ann, 2, between)
    assert [row["conversation_id"] for row in rows] == opened[::-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_conversations_without_messages_come_last_and_the_newest_first(ann, bob, limit):
    groups = [ann.group(bob) for _ in range(4)]
    ann.send(groups[1])
    ann.arrived(1)
    created = {c: ann.get(f"/v1/conversations/{c}")["created_at"] for c in groups}
    empty = [groups[0], *groups[2:]]
    rows = listed(ann, limit)
    assert [row["conversation_id"] for row in rows] == [
        groups[1],
        *sorted(empty, key=lambda c: (created[c], c), reverse=True),
    ]
    assert [row["last_message"] for row in rows[1:]] == [None] * 3


def test_group_that_was_left_shows_what_came_before(ann, bob):
    group, direct = ann.group(bob), ann.direct(bob)
    ann.send(group, "before")
    ann.send(direct)
    bob.arrived(2)
    assert bob.ask("DELETE", f"/v1/conversations/{group}/members/{bob.user_id}").status_code == 200
    ann.send(group, "after")
    ann.arrived(3)
    rows = {row["conversation_id"]: row for row in listed(bob, 1)}
    assert list(rows) == [direct, group]
    assert rows[group]["last_message"]["body"]["text"] == "before"
    assert (rows[group]["head_seq"], rows[group]["unread"]) == (1, 1)


def test_row_shows_the_newest_message_that_its_reader_can_read(ann, bob):
    group = ann.group(bob)
    sent = [ann.send(group, text) for text in ("first", "second", "third")]
    path = f"/v1/conversations/{group}"
    (before,) = listed(bob, 1)
    assert (before["head_seq"], before["last_message"]["body"]["text"]) == (sent[2]["seq"], "third")
    assert bob.ask("DELETE", f"/v1/messages/{sent[2]['message_id']}/mine").status_code == 200
    (hidden,) = listed(bob, 1)
    assert (hidden["head_seq"], hidden["last_message"]["body"]["text"]) == (sent[1]["seq"], "second")
    assert bob.ask("DELETE", f"{path}/members/{bob.user_id}").status_code == 200
    ann.send(group, "without him")
    assert ann.ask("PUT", f"{path}/members/{bob.user_id}").status_code == 200
    assert listed(bob, 1)[0]["last_message"]["body"]["text"] == "second"
    cleared = bob.ask("PATCH", f"{path}/me", json={"cleared_seq": sent[1]["seq"]})
    assert cleared.status_code == 200
    (empty,) = listed(bob, 1)
    assert (empty["conversation_id"], empty["head_seq"], empty["last_message"]) == (group, 0, None)


def test_message_that_has_not_arrived_yet_moves_its_conversation_up(ann, bob, cem):
    """On the first page the order is that of the sends also right after they were answered."""
    conversations = [ann.direct(bob), ann.direct(cem), ann.group(bob, cem)]
    for conversation in [*conversations, *conversations]:
        ann.send(conversation)
        first = ann.get("/v1/conversations")["conversations"][0]
        assert first["conversation_id"] == conversation


def test_list_is_the_same_without_what_redis_knew(ann, person, engines):
    opened = [ann.direct(person()) for _ in range(4)]
    for conversation in opened:
        ann.send(conversation)
    ann.arrived(4)
    first = ann.get("/v1/conversations", limit=2)
    again = ann.get("/v1/conversations", limit=2)
    with redis.Redis.from_url(engines.redis_url) as client:
        keys = list(client.scan_iter(f"*{{u:{ann.user_id}}}:recent"))
        assert len(keys) == 1
        client.delete(*keys)
        emptied = ann.get("/v1/conversations", limit=2)
        assert client.exists(*keys)
    assert first == again == emptied


def test_page_ends_early_when_its_messages_are_many_bytes(ann, person):
    opened = [ann.direct(person()) for _ in range(12)]
    for conversation in opened:
        sent = message(conversation) | {"body": {"text": "\x01" * 65_536}}
        assert ann.ask("POST", "/v1/messages", json=sent).status_code == 201
    ann.arrived(12)
    assert [row["conversation_id"] for row in listed(ann, 200)] == opened[::-1]
    page = ann.get("/v1/conversations", limit=200)
    assert 1 < len(page["conversations"]) < 12
    assert page["more"]


@pytest.mark.parametrize(
    "cursor",
    [
        "2026-03-02T09:30:00.000Z~d:ann:bob",
        "",
        "1",
        "1.",
        "1.2~",
        "1.2~d:ann",
        "1.2.3",
        "-1.2",
        "1.2\n",
        f"1.{10**16}",
    ],
)
def test_cursor_that_the_list_never_gave_is_refused(ann, cursor):
    """One of an earlier version too."""
    error = refused(ann.ask("GET", "/v1/conversations", params={"cursor": cursor}), 400, "bad_request")
    assert error["field"] == "cursor"
