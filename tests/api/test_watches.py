"""Watching who is online, on one gateway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.people import Person, Socket


def watch(socket: Socket, *people: Person) -> list[dict[str, Any]]:
    socket.say(type="watch", user_ids=[one.user_id for one in people])
    return socket.next("presence")["users"]


def told(socket: Socket, person: Person) -> dict[str, Any]:
    """The next news, which is about this person alone."""
    (user,) = socket.next("presence")["users"]
    assert user["user_id"] == person.user_id
    return user


def test_watch_is_answered_at_once_and_then_at_each_change(ann, bob, cem):
    with ann.socket() as anns, cem.socket():
        assert watch(anns, bob, cem) == [
            {"user_id": bob.user_id, "online": False},
            {"user_id": cem.user_id, "online": True},
        ]
        with bob.socket():
            assert told(anns, bob) == {"user_id": bob.user_id, "online": True}
        gone = told(anns, bob)
        assert gone["online"] is False
        assert gone["last_seen"].endswith("Z")


def test_next_watch_replaces_the_one_before(ann, bob, cem, person):
    dan = person()
    with ann.socket() as anns:
        watch(anns, bob)
        watch(anns, cem, cem)
        with bob.socket(), cem.socket():
            assert told(anns, cem)["online"] is True
            assert watch(anns) == []
        assert watch(anns, dan) == [{"user_id": dan.user_id, "online": False}]
        with dan.socket():  # bob and cem have gone since: of them nothing is told
            assert told(anns, dan)["online"] is True


def test_several_sessions_and_a_poll_are_one_person_online(ann, bob, server):
    tablet = server.person(bob.user_id, "tablet")
    with ann.socket() as anns:
        watch(anns, bob)
        with tablet.socket():
            assert told(anns, bob)["online"] is True
            with bob.socket():
                pass
            assert watch(anns, bob) == [{"user_id": bob.user_id, "online": True}]
        assert told(anns, bob)["online"] is False
        with ThreadPoolExecutor(1) as thread:
            polling = thread.submit(bob.get, "/v1/sync", wait_s=60)
            assert told(anns, bob)["online"] is True
            ann.send(ann.direct(bob))
            polling.result()
        entries_and_news = {"online": None}
        while entries_and_news["online"] is not False:
            (entries_and_news,) = anns.answer("presence")["users"]


def test_choice_of_the_watched_and_of_the_watcher_is_told(ann, bob):
    with ann.socket() as anns, bob.socket():
        assert watch(anns, bob)[0]["online"] is True
        bob.ask("PATCH", "/v1/me", json={"last_seen": "nobody"}).raise_for_status()
        assert told(anns, bob) == {"user_id": bob.user_id, "online": False}
        bob.ask("PATCH", "/v1/me", json={"last_seen": "everyone"}).raise_for_status()
        assert told(anns, bob) == {"user_id": bob.user_id, "online": True}
        ann.ask("PATCH", "/v1/me", json={"last_seen": "contacts"}).raise_for_status()
        assert told(anns, bob) == {"user_id": bob.user_id, "online": False}
        ann.ask("PATCH", "/v1/me", json={"last_seen": "everyone"}).raise_for_status()
        assert told(anns, bob) == {"user_id": bob.user_id, "online": True}


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({}, "user_ids"),
        ({"user_ids": None}, "user_ids"),
        ({"user_ids": "ann"}, "user_ids"),
        ({"user_ids": ["a b"]}, "user_ids[0]"),
        ({"user_ids": ["a"] * 201}, "user_ids"),
        ({"user_ids": [], "what": 1}, "what"),
    ],
    ids=["missing", "null", "text", "no id", "too many", "unknown field"],
)
def test_bad_watch_is_an_error_and_the_socket_and_its_watch_stay(ann, bob, frame, field):
    with ann.socket() as anns:
        watch(anns, bob)
        anns.say(type="watch", **frame)
        error = anns.next("error")["error"]
        assert (error["code"], error["field"]) == ("bad_request", field)
        with bob.socket():
            assert told(anns, bob)["online"] is True


def test_most_users_that_may_be_watched_are_answered_in_order(ann):
    ids = [f"nobody-{number}" for number in range(200)]
    with ann.socket() as anns:
        anns.say(type="watch", user_ids=ids)
        users = anns.next("presence")["users"]
    assert users == [{"user_id": one, "online": False} for one in ids]
