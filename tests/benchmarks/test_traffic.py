"""Load is what was asked for, and a message that is late counts as late."""

from __future__ import annotations

import time

import pytest

from benchmarks.book import Book
from benchmarks.sockets import Device, Server
from benchmarks.traffic import Traffic
from benchmarks.world import Post, World


@pytest.fixture
def load():
    """Traffic of a device that is not connected, so that each of its messages fails at once."""
    world, book = World(Server("127.0.0.1", 1, "key")), Book("run.1", [2, 3])
    posts = [Post(Device(world.sockets, user, "token"), user, b"") for user in range(2)]
    yield Traffic(world, book), book, posts
    world.close()


def test_messages_at_a_rate_are_due_at_fixed_moments_however_late_they_are_sent(load):
    traffic, book, posts = load
    traffic.at_rate(posts, 200, 0.2)
    assert [due - book.due[0] for due in book.due] == pytest.approx([n / 200 for n in range(40)], abs=1e-9)
    assert list(book.conversation) == [0, 1] * 20


def test_who_never_pauses_sends_again_as_soon_as_answered_and_only_until_the_end(load):
    traffic, book, posts = load
    began = time.perf_counter()
    traffic.run(0.2, posts[:1], 20, {1: posts[1]})
    of_the_flood = [
        due for due, conversation in zip(book.due, book.conversation, strict=True) if conversation
    ]
    assert len(book) - len(of_the_flood) == 4
    assert len(of_the_flood) > 1
    assert book.errors == {"not connected": len(book)}
    assert min(of_the_flood) >= began


def test_closed_loop_has_so_many_unanswered_at_a_time(load):
    traffic, book, posts = load
    traffic.in_flight(posts, 3, 0.1)
    assert len(book) % 3 == 0
    assert len(book) > 0
    assert traffic.settle(1) < 1
