"""Oneself, and who is online, by HTTP."""

from __future__ import annotations

import pytest

from tests.api.people import Person, refused
from tests.builders import until


def online(viewer: Person, *others: Person) -> list[bool]:
    ids = ",".join(other.user_id for other in others)
    users = viewer.get("/v1/presence", user_ids=ids)["users"]
    assert [user["user_id"] for user in users] == [other.user_id for other in others]
    return [user["online"] for user in users]


def choose(person: Person, last_seen: str) -> None:
    answer = person.ask("PATCH", "/v1/me", json={"last_seen": last_seen})
    assert answer.status_code == 200
    assert answer.json()["last_seen"] == last_seen


def test_one_reads_and_changes_oneself(server, person):
    ann = person(name="Ann")
    me = {"user_id": ann.user_id, "name": "Ann", "last_seen": "everyone"}
    assert ann.get("/v1/me") == me
    for change in ({}, {"last_seen": None}):
        assert ann.ask("PATCH", "/v1/me", json=change).json() == me
    for _ in range(2):
        assert ann.ask("PATCH", "/v1/me", json={"last_seen": "contacts"}).json() == me | {
            "last_seen": "contacts"
        }
    assert person().get("/v1/me")["name"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [({"last_seen": "friends"}, "last_seen"), ({"last_seen": 1}, "last_seen"), ({"what": 1}, "what")],
)
def test_bad_change_is_refused_and_changes_nothing(ann, change, field):
    assert refused(ann.ask("PATCH", "/v1/me", json=change), 400, "bad_request")["field"] == field
    assert ann.get("/v1/me")["last_seen"] == "everyone"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "user_ids"),
        ("?user_ids=", "user_ids"),
        ("?user_ids=a,,b", "user_ids[1]"),
        ("?user_ids=a,b c", "user_ids[1]"),
        ("?user_ids=" + ",".join(["a"] * 201), "user_ids"),
        ("?user_ids=a&what=1", "what"),
        ("?user_ids=a&user_ids=b", "user_ids"),
    ],
)
def test_bad_question_is_refused(ann, query, field):
    assert refused(ann.ask("GET", f"/v1/presence{query}"), 400, "bad_request")["field"] == field


def test_who_is_not_there_and_who_never_was_are_offline(ann, bob):
    users = ann.get("/v1/presence", user_ids=f"nobody-at-all,{bob.user_id},nobody-at-all")["users"]
    assert users == [
        {"user_id": "nobody-at-all", "online": False},
        {"user_id": bob.user_id, "online": False},
    ]
    many = ",".join(f"nobody-{number}" for number in range(200))
    assert len(ann.get("/v1/presence", user_ids=many)["users"]) == 200


async def test_who_has_a_socket_is_online_and_then_was_seen(ann, bob):
    with bob.socket():
        assert ann.get("/v1/presence", user_ids=bob.user_id)["users"] == [
            {"user_id": bob.user_id, "online": True}
        ]

    def was_seen() -> str | None:
        (user,) = ann.get("/v1/presence", user_ids=bob.user_id)["users"]
        return None if user["online"] else user.get("last_seen")

    first = await until(was_seen)
    assert first.endswith("Z")
    with bob.socket():
        assert online(ann, bob) == [True]
    assert await until(lambda: (seen := was_seen()) and seen > first)


async def test_who_hides_is_offline_to_all_and_sees_nobody(ann, bob, cem):
    ann.direct(bob)
    with ann.socket(), bob.socket(), cem.socket():
        assert online(ann, bob, cem) == [True, True]
        choose(ann, "nobody")
        assert online(bob, ann, cem) == [False, True]
        assert online(ann, bob, cem) == [False, False]
        assert online(ann, ann) == [True], "everybody sees themselves"
    await until(lambda: "last_seen" in bob.get("/v1/presence", user_ids=cem.user_id)["users"][0])
    for viewer, other in ((bob, ann), (ann, bob)):
        assert viewer.get("/v1/presence", user_ids=other.user_id)["users"] == [
            {"user_id": other.user_id, "online": False}
        ]


def test_contacts_are_people_with_whom_there_is_a_direct_conversation(ann, bob, cem):
    ann.group(bob, cem)
    choose(ann, "contacts")
    with ann.socket(), bob.socket(), cem.socket():
        assert online(ann, bob, cem) == [False, False]
        ann.direct(bob)
        assert online(ann, bob, cem) == [True, False]
        assert online(bob, ann, cem) == [True, True]
        assert online(cem, ann, bob) == [False, True]
        choose(bob, "contacts")
        assert online(bob, ann, cem) == [True, False]
