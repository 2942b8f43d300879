"""Devices of a run come back when they are closed, and what they missed is not missing."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from benchmarks.book import Book
from benchmarks.world import Device, Server, Traffic, World
from tests.patience import PATIENCE_S


@pytest.fixture
async def world(ringpost):
    url = urlsplit(ringpost.url)
    made = World(Server(url.hostname, url.port, ringpost.admin_key), connections=4)
    yield made
    await made.close()


async def until(true):
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


async def test_device_that_was_closed_comes_back_with_its_cursor(world):
    await world.make(users=2, group_size=2, conversations=1)
    book = Book(world.run, 2, world.members)
    book.measure()
    await world.connect(book)
    traffic = Traffic(world, book, "http", text_bytes=10)
    await traffic.send(time.perf_counter())
    await until(book.settled)

    thief = Device(0, world.devices[0].token)
    await thief.connect(world.server, Book("thief", 2, []))
    await until(lambda: world.devices[0].close_code == 4003)
    await traffic.send(time.perf_counter())
    watching = asyncio.create_task(world.keep_connected(book))
    await until(book.settled)
    watching.cancel()
    await thief.close()

    assert book.errors["socket closed 4003"] >= 1
    assert (book.missing(), book.duplicates, book.out_of_order) == (0, 0, 0)
    assert book.pushed == 4


async def test_deaf_device_is_closed_as_slow_and_its_user_misses_nothing(world):
    await world.make(users=2, group_size=2, conversations=1)
    book = Book(world.run, 2, world.members)
    book.measure()
    await world.connect(book)
    before = await world.closed_slow()
    await world.add_deaf(1, book)
    traffic = Traffic(world, book, "http", text_bytes=60_000)
    async with asyncio.timeout(PATIENCE_S):
        while await world.closed_slow() == before:
            await asyncio.gather(*(traffic.send(time.perf_counter()) for _ in range(4)))
            await until(book.settled)  # or the devices that read would be slow as well
    assert await world.closed_slow() == before + 1
    assert (book.missing(), book.duplicates, book.out_of_order, book.errors) == (0, 0, 0, {})


async def test_send_of_a_device_that_is_not_connected_fails_at_once(world):
    await world.make(users=2, group_size=2, conversations=1)
    assert await world.devices[0].send(0, b"{}") == "not connected"


async def test_refused_send_is_an_error_by_its_code(world):
    await world.make(users=2, group_size=2, conversations=1)
    book = Book(world.run, 2, world.members)
    book.measure()
    await world.connect(book)
    for via in ("ws", "http"):
        await Traffic(world, book, via, text_bytes=0).send(time.perf_counter())
    assert book.errors == {"bad_request": 1, "status 400": 1}
    assert book.missing() == 0


async def test_wrong_admin_key_is_said_in_the_servers_words(world):
    world.server = world.server._replace(admin_key="wrong")
    with pytest.raises(RuntimeError, match="The admin key is wrong"):
        await world.make(users=1, group_size=1, conversations=1)
