"""Many ask at once: one read, and nobody gets less than what was there when they asked."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from api.shared import SharedReads
from domain.errors import Unavailable
from tests.patience import PATIENCE_S


class Shelf:
    """Counts its reads; each gives what is there when it ends, once it is let through."""

    def __init__(self) -> None:
        self.reads = 0
        self.value = 0
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, key: str) -> tuple[str, int]:
        self.reads += 1
        value = self.value
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return key, value


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def begun(shelf: Shelf, reads: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while shelf.reads < reads:
            await asyncio.sleep(0)


async def test_a_thousand_at_once_are_two_reads_at_most(shelf):
    reads = SharedReads(shelf.read)
    asked = [asyncio.create_task(reads.get("a")) for _ in range(500)]
    await begun(shelf, 1)
    asked += [asyncio.create_task(reads.get("a")) for _ in range(500)]
    await asyncio.sleep(0)
    shelf.open.set()
    assert set(await asyncio.gather(*asked)) == {("a", 0)}
    assert shelf.reads == 2


async def test_who_asks_after_a_change_sees_it(shelf):
    reads = SharedReads(shelf.read)
    before = asyncio.create_task(reads.get("a"))
    await begun(shelf, 1)
    shelf.value = 1
    after = [asyncio.create_task(reads.get("a")) for _ in range(10)]
    await asyncio.sleep(0)
    shelf.open.set()
    assert await before == ("a", 0)
    assert set(await asyncio.gather(*after)) == {("a", 1)}
    assert shelf.reads == 2


async def test_keys_do_not_wait_for_each_other(shelf):
    reads = SharedReads(shelf.read)
    asked = [asyncio.create_task(reads.get(key)) for key in "abc"]
    await begun(shelf, 3)
    shelf.open.set()
    assert await asyncio.gather(*asked) == [("a", 0), ("b", 0), ("c", 0)]


async def test_an_error_is_shared_and_not_remembered(shelf):
    reads = SharedReads(shelf.read)
    shelf.error = Unavailable("away")
    shelf.open.set()
    with pytest.raises(Unavailable):
        await reads.get("a")
    shelf.error = None
    assert await reads.get("a") == ("a", 0)


class Book:
    """A key that tells when nobody holds it any more."""


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_is_kept_of_a_read_that_has_ended(shelf, fails):
    """I8: of none in progress, and of none that followed it."""
    reads, book = SharedReads(shelf.read), Book()
    held = weakref.ref(book)
    asked = [asyncio.create_task(reads.get(book))]
    await begun(shelf, 1)
    asked += [asyncio.create_task(reads.get(book)) for _ in range(2)]
    await asyncio.sleep(0)
    shelf.error = Unavailable("away") if fails else None
    shelf.open.set()
    await asyncio.wait(asked)
    assert all((task.exception() is not None) == fails for task in asked)
    assert shelf.reads == 2
    del asked, book
    shelf.error = None  # its traceback holds the key
    gc.collect()
    assert held() is None


async def test_who_goes_away_does_not_stop_the_others(shelf):
    reads = SharedReads(shelf.read)
    gone, stays = (asyncio.create_task(reads.get("a")) for _ in range(2))
    await begun(shelf, 1)
    gone.cancel()
    shelf.open.set()
    assert await stays == ("a", 0)
