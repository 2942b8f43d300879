"""The people of a run: they come back when they are closed, and miss nothing."""

from __future__ import annotations

import resource
import socket
import time
from urllib.parse import urlsplit

import pytest

from benchmarks.sockets import Device, Server
from benchmarks.traffic import Traffic
from benchmarks.world import World
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.same_on_all_engines
PAIR = [(0, 1)]


@pytest.fixture
def world(ringpost):
    url = urlsplit(ringpost.url)
    made = World(Server(url.hostname, url.port, ringpost.admin_key))
    yield made
    made.close()


def until(world, true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        world.turn(0.01)


def online(world, text_bytes=10):
    """Two users who write to each other: their book, what the first one sends, and the traffic."""
    devices = world.grow(2)
    book = world.book(PAIR)
    ((post, _),) = world.posts(book, PAIR, text_bytes)
    world.connect(devices, book)
    return book, post, Traffic(world, book)


def test_device_whose_connection_broke_comes_back_with_its_cursor(world):
    book, post, traffic = online(world)
    traffic.send(post, time.perf_counter())
    until(world, book.settled)

    broken = world.devices[0]
    broken.socket.shutdown(socket.SHUT_RDWR)
    until(world, lambda: book.errors["socket closed 1006"])
    until(world, lambda: broken.ready)
    traffic.send(post, time.perf_counter())
    until(world, book.settled)

    assert list(book.arrivals) == [2, 2]
    assert not any(book.checks().values())


def test_device_that_was_replaced_stays_away(world, monkeypatch):
    """Whoever may come back would do so in the very turn in which the end is noted."""
    monkeypatch.setattr("benchmarks.world.COME_BACK_S", 0)
    book, _, _ = online(world)
    replaced = world.devices[0]
    thief = Device(world.sockets, 0, replaced.token)
    thief.connect(world.server, world.book([]))
    until(world, lambda: book.errors["socket closed 4504"])
    thief.close()
    assert replaced.close_code == 4504


def test_users_and_conversations_are_made_once_and_entries_of_an_earlier_book_are_not_counted(world):
    book, post, traffic = online(world)
    traffic.send(post, time.perf_counter())
    until(world, book.settled)
    first, people = world.open(PAIR), list(world.devices)
    world.disconnect()
    for device in people:
        device.head = 0
    again, post, traffic = online(world)
    assert (world.open(PAIR), world.devices) == (first, people)
    until(world, lambda: all(device.head == 1 for device in people))
    assert len(again) == 0
    traffic.send(post, time.perf_counter())
    until(world, again.settled)
    assert list(again.arrivals) == [2]


def test_deaf_device_is_closed_as_slow_and_its_user_misses_nothing(world):
    book, post, traffic = online(world, text_bytes=60_000)
    before = world.closed_slow()
    world.add_deaf(1, book)
    deadline = time.monotonic() + PATIENCE_S
    while world.closed_slow() == before:
        assert time.monotonic() < deadline
        for _ in range(4):
            traffic.send(post, time.perf_counter())
        until(world, book.settled)  # or the devices that read would be slow as well
    assert world.closed_slow() == before + 1
    assert not any(book.checks().values())
    assert not book.errors


def test_send_of_a_device_that_is_not_connected_fails_at_once(world):
    book, post, traffic = online(world)
    post.device.close()
    traffic.send(post, time.perf_counter())
    assert book.errors == {"not connected": 1}
    assert book.settled()


def test_refused_send_is_an_error_by_its_code(world):
    book, post, traffic = online(world, text_bytes=0)
    traffic.send(post, time.perf_counter())
    until(world, book.settled)
    assert book.errors == {"bad_request": 1}


def test_wrong_admin_key_is_said_in_the_servers_words(world):
    world.server = world.server._replace(admin_key="wrong")
    with pytest.raises(RuntimeError, match="The admin key is wrong"):
        world.grow(1)


def test_more_devices_than_open_files_are_refused_with_the_limit(world):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(RuntimeError, match=r"raise the hard limit \(ulimit -Hn\)"):
        world.grow(min(hard, 2**20) + 1)
