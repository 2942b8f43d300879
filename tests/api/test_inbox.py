"""Pulling an inbox, waiting for it, and each device's own cursor."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.api.people import refused
from tests.patience import PATIENCE_S


def test_an_inbox_is_pulled_page_by_page(ann, bob):
    conversation = ann.direct(bob)
    for _ in range(5):
        ann.send(conversation)
    bob.arrived(5)
    page = bob.get("/v1/sync", limit=2, cursor=1)
    assert [entry["seq"] for entry in page["entries"]] == [2, 3]
    assert (page["cursor"], page["head"], page["more"]) == (3, 5, True)
    page = bob.get("/v1/sync", cursor=5)
    assert page == {"entries": [], "cursor": 5, "head": 5, "more": False}


def test_a_waiting_pull_wakes_when_something_arrives(ann, bob):
    conversation = ann.direct(bob)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(bob.get, "/v1/sync", wait_s=60)
        ann.send(conversation, "wake up")
        page = waiting.result(PATIENCE_S)
    assert page["entries"][0]["message"]["body"] == {"text": "wake up"}


def test_a_waiting_pull_answers_with_nothing_when_nothing_comes(ann):
    began = time.monotonic()
    assert ann.get("/v1/sync", wait_s=0.3) == {"entries": [], "cursor": 0, "head": 0, "more": False}
    assert time.monotonic() - began >= 0.3


def test_an_acknowledged_cursor_moves_only_forward(ann, bob, server):
    conversation = ann.direct(bob)
    for _ in range(3):
        ann.send(conversation)
    bob.arrived(3)
    assert bob.get("/v1/sync/ack") == {"cursor": 0}
    assert bob.post("/v1/sync/ack", cursor=2) == {"cursor": 2}
    assert bob.post("/v1/sync/ack", cursor=1) == {"cursor": 2}
    refused(bob.ask("POST", "/v1/sync/ack", json={"cursor": 4}), 409, "cursor_ahead")
    assert bob.get("/v1/sync/ack") == {"cursor": 2}
    assert server.person(bob.user_id, "tablet").get("/v1/sync/ack") == {"cursor": 0}
