from __future__ import annotations

import asyncio

import pytest

from infra.redis.sequence import Numbers, Sequence


@pytest.fixture
def sequence(client, keys):
    return Sequence(client, keys)


async def test_unknown_counter_hands_out_nothing(sequence):
    assert await sequence.take([("g:x", 1)]) == [None]


async def test_numbers_are_consecutive_and_come_with_the_version(sequence):
    await sequence.restore("g:x", 7, 3)
    assert await sequence.take([("g:x", 2), ("g:y", 1), ("g:x", 1)]) == [Numbers(8, 3), None, Numbers(10, 3)]
    assert await sequence.take([("g:x", 0), ("g:y", 0)]) == [Numbers(11, 3), None]


async def test_concurrent_takers_share_no_number(sequence):
    await sequence.restore("g:x", 0, 0)
    taken = await asyncio.gather(*(sequence.take([("g:x", count)]) for count in range(1, 20)))
    seqs = [n for (numbers,), count in zip(taken, range(1, 20), strict=True) for n in _from(numbers, count)]
    assert sorted(seqs) == list(range(1, len(seqs) + 1))


def _from(numbers: Numbers, count: int) -> range:
    return range(numbers.first, numbers.first + count)


async def test_restoring_only_raises(sequence):
    assert await sequence.restore("g:x", 7, 3) == 7
    assert await sequence.restore("g:x", 5, 4) == 7
    assert await sequence.restore("g:x", 9, 2) == 9
    assert await sequence.take([("g:x", 1)]) == [Numbers(10, 4)]


async def test_largest_numbers_are_exact(sequence):
    await sequence.restore("g:x", 2**53 - 3, 2**40)
    assert await sequence.take([("g:x", 1)]) == [Numbers(2**53 - 2, 2**40)]


async def test_counter_is_lost_with_its_key(sequence, client, keys):
    await sequence.restore("g:x", 7, 3)
    await client.delete(keys.counter("g:x"))
    assert await sequence.take([("g:x", 1)]) == [None]


async def test_script_flush_is_not_noticed(sequence, client):
    await sequence.restore("g:x", 7, 3)
    await client.script_flush()
    assert await sequence.take([("g:x", 1), ("g:x", 1)]) == [Numbers(8, 3), Numbers(9, 3)]
