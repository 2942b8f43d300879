from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from domain.errors import Overloaded, Unavailable
from producers.group_commit import GroupCommit
from tests.patience import PATIENCE_S


class Store:
    """Notes each batch; flushes wait for `open`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.at_once = self.most_at_once = 0

    async def __call__(self, items):
        self.batches.append(list(items))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        self.at_once -= 1
        return [ValueError(item) if item < 0 else item * 10 for item in items]


@pytest.fixture
def store():
    return Store()


async def test_those_who_come_during_a_flush_share_the_next_one(store):
    commits = GroupCommit(store, limit=100, in_flight=1)
    first = asyncio.create_task(commits.add(1))
    await _begun(store, 1)
    others = [asyncio.create_task(commits.add(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    assert len(commits) == 3
    store.open.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40]
    assert store.batches == [[1], [2, 3, 4]]


async def _begun(store: Store, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(store.batches) < count:
            await asyncio.sleep(0)


async def test_nobody_waits_for_a_batch_to_fill(store):
    store.open.set()
    assert await GroupCommit(store, limit=1000).add(7) == 70


async def test_those_who_come_soon_after_a_flush_share_the_next_one(store):
    store.open.set()
    commits = GroupCommit(store, in_flight=10, pause_s=0.1)
    assert await commits.add(1) == 10
    others = []
    for n in (2, 3, 4):
        others.append(asyncio.create_task(commits.add(n)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await asyncio.gather(*others) == [20, 30, 40]
    assert store.batches == [[1], [2, 3, 4]]


async def test_who_comes_alone_does_not_wait(store):
    store.open.set()
    assert await GroupCommit(store, pause_s=2 * PATIENCE_S).add(7) == 70


async def test_batches_keep_order_and_limit(store):
    store.open.set()
    commits = GroupCommit(store, limit=4, in_flight=1)
    assert await asyncio.gather(*map(commits.add, range(10))) == [n * 10 for n in range(10)]
    assert store.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_no_more_flushes_at_once_than_allowed(store):
    commits = GroupCommit(store, limit=1, in_flight=3)
    adding = [asyncio.create_task(commits.add(n)) for n in range(9)]
    await _begun(store, 3)
    store.open.set()
    await asyncio.gather(*adding)
    assert store.most_at_once == 3


async def test_each_caller_gets_their_own_result_or_error(store):
    store.open.set()
    commits = GroupCommit(store)
    results = await asyncio.gather(*map(commits.add, (1, -2, 3)), return_exceptions=True)
    assert (results[0], results[2]) == (10, 30)
    assert isinstance(results[1], ValueError)


async def test_error_of_the_flush_goes_to_all_and_the_next_one_works():
    answers = [Unavailable("away"), None]

    async def flush(items):
        if error := answers.pop(0):
            raise error
        return items

    commits = GroupCommit(flush, in_flight=1)
    results = await asyncio.gather(commits.add(1), commits.add(2), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert await commits.add(3) == 3


async def test_too_many_waiting_is_overloaded(store):
    """I8: the bound has a named answer, and those who wait are served."""
    commits = GroupCommit(store, limit=1, in_flight=1, waiting=2)
    adding = [asyncio.create_task(commits.add(1))]
    await _begun(store, 1)
    adding += [asyncio.create_task(commits.add(n)) for n in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await asyncio.wait_for(commits.add(4), PATIENCE_S)
    store.open.set()
    assert await asyncio.gather(*adding) == [10, 20, 30]


async def test_caller_who_goes_away_stops_nothing(store):
    commits = GroupCommit(store, in_flight=1)
    gone, stays = (asyncio.create_task(commits.add(n)) for n in (1, 2))
    await _begun(store, 1)
    gone.cancel()
    store.open.set()
    assert await stays == 20
    assert store.batches == [[1, 2]]


async def test_who_waited_too_long_is_refused_and_not_flushed(store):
    """I8: by the time in the queue, whatever its length."""
    commits = GroupCommit(store, in_flight=1, queue_s=0.05)
    first = asyncio.create_task(commits.add(1))
    await _begun(store, 1)
    second = asyncio.create_task(commits.add(2))
    with pytest.raises(Overloaded):
        await _add_until_refused(commits, 3)
    store.open.set()
    assert await first == 10
    with pytest.raises(Overloaded):
        await second
    assert await commits.add(4) == 40
    assert store.batches == [[1], [4]]


async def test_who_went_away_while_waiting_is_not_flushed(store):
    commits = GroupCommit(store, in_flight=1)
    first = asyncio.create_task(commits.add(1))
    await _begun(store, 1)
    second = asyncio.create_task(commits.add(2))
    await asyncio.sleep(0)
    second.cancel()
    store.open.set()
    assert await first == 10
    assert await commits.add(3) == 30
    assert store.batches == [[1], [3]]


async def _add_until_refused(commits: GroupCommit[int, int], item: int) -> None:
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(commits.add(item), 0.01)
