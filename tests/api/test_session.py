"""One connection, on the real stores: what a device is sent, and when it is too slow."""

from __future__ import annotations

import pytest

from api.gateway import session as session_file
from api.gateway.frames import Close
from api.sync import Sync
from domain.entries import Entry
from infra.redis.ring import Ring
from tests.api.wire import QUEUE_BYTES, arrive, connected
from tests.builders import opened_stores, settings_for, until


@pytest.fixture
async def stores(engines, unique):
    async with opened_stores(settings_for(engines, unique, ring={"capacity": 5})) as stores:
        yield stores


async def test_device_that_comes_back_gets_what_it_missed_once_in_order(stores):
    """I10: beyond what the ring holds, and then what arrives."""
    await arrive(stores, 1, 9)
    async with connected(stores) as (session, wire):
        session.start(2, 9)
        await until(lambda: len(wire.seqs) == 7)
        for entry in await arrive(stores, 10, 11):
            session.arrived(entry)
        await until(lambda: len(wire.seqs) == 9)
    assert wire.seqs == list(range(3, 12))


async def test_push_behind_a_lost_one_is_preceded_by_it(stores):
    async with connected(stores) as (session, wire):
        session.start(0, 0)
        entries = await arrive(stores, 1, 4)
        for entry in (entries[0], entries[3]):
            session.arrived(entry)
        await until(lambda: len(wire.seqs) == 4)
    assert wire.seqs == [1, 2, 3, 4]


async def test_push_that_comes_twice_is_sent_once(stores):
    async with connected(stores) as (session, wire):
        session.start(0, 0)
        entries = await arrive(stores, 1, 3)
        for entry in [*entries, *entries]:
            session.arrived(entry)
        session.put(b'{"type":"pong"}')
        await until(lambda: {"type": "pong"} in wire.frames)
    assert wire.seqs == [1, 2, 3]


async def test_heartbeat_brings_what_a_lost_push_left_out(stores):
    async with connected(stores) as (session, wire):
        session.start(0, 0)
        await arrive(stores, 1, 3)
        session.heartbeat(3)
        await until(lambda: wire.seqs == [1, 2, 3])
    assert wire.frames[0] == {"type": "heartbeat", "head": 3}


async def test_device_that_does_not_read_is_closed_as_slow(stores):
    """I8: and what waits for it stays within its bound; its neighbour has everything."""
    entries = await arrive(stores, 1, 40)
    async with connected(stores) as (slow, stuck), connected(stores) as (quick, free):
        for session in (slow, quick):
            session.start(0, 0)
        stuck.reading.clear()
        for entry in entries:
            slow.arrived(entry)
            quick.arrived(entry)
            await until(lambda entry=entry: free.seqs[-1:] == [entry.seq])
        await until(lambda: stuck.code == Close.SLOW, 3)
        assert free.seqs == list(range(1, 41))
        assert free.code is None
    assert stuck.seqs == []


async def test_answers_that_nobody_reads_close_as_slow(stores):
    """I8."""
    async with connected(stores) as (session, wire):
        wire.reading.clear()
        for _ in range(10):
            session.put(b'{"type":"pong","ref":"%b"}' % (b"x" * 500))
        await until(lambda: wire.code == Close.SLOW, 3)


class Pulled(Sync):
    """The real inbox, which counts the pages that were pulled."""

    pages = 0

    async def pull(self, user, cursor, limit):
        page = await super().pull(user, cursor, limit)
        self.pages += 1
        return page


async def test_device_that_catches_up_at_its_own_pace_is_not_slow(stores, monkeypatch):
    """However much it missed, and however many heartbeats come: only live entries and answers count."""
    monkeypatch.setattr(session_file, "FRAME_BYTES", 2 * QUEUE_BYTES)
    await arrive(stores, 1, 250)
    ring = Ring(stores.redis, stores.keys, stores.settings.ring)
    sync = Pulled(ring, stores.timelines, stores.contents)
    async with connected(stores, sync=sync) as (session, wire):
        wire.reading.clear()
        session.start(0, 250)
        await until(lambda: sync.pages == 1)
        for _ in range(10):
            session.heartbeat(250)
        assert wire.code is None
        assert wire.frames == []
        wire.reading.set()
        await until(lambda: len(wire.seqs) == 250)
        for entry in await arrive(stores, 251, 255):
            session.arrived(entry)
        await until(lambda: len(wire.seqs) == 255)
        assert wire.code is None
    assert wire.seqs == list(range(1, 256))


async def test_what_waits_goes_out_in_one_write(stores):
    async with connected(stores) as (session, wire):
        session.start(0, 0)
        for entry in await arrive(stores, 1, 3):
            session.arrived(entry)
        session.put(b'{"type":"pong"}')
        session.put(b'{"type":"pong"}')
        await until(lambda: len(wire.frames) == 3)
        assert wire.writes == 1
    assert wire.seqs == [1, 2, 3]


async def test_first_entries_are_sent_with_the_welcome_and_the_rest_is_pulled(stores):
    entries = await arrive(stores, 1, 20)
    async with connected(stores) as (session, wire):
        session.put(b'{"type":"welcome"}')
        session.start(2, 20, entries[2:10])
        await until(lambda: len(wire.seqs) == 18)
    assert wire.seqs == list(range(3, 21))


async def test_single_entry_beyond_what_may_wait_is_written(stores):
    async with connected(stores) as (session, wire):
        session.start(0, 0)
        session.arrived(Entry(1, b'{"a":"%b"}' % (b"x" * 2 * QUEUE_BYTES)))
        await until(lambda: wire.seqs == [1])
        assert wire.code is None


async def test_frame_that_may_be_lost_is_dropped_for_a_device_that_is_behind_and_does_not_close_it(
    stores, monkeypatch
):
    """I8."""
    frame = b'{"type":"signal"}'
    async with connected(stores) as (session, wire):
        assert not session.offer(frame), "it is not welcome yet"
        session.start(0, 0)
        assert session.offer(frame)
        await until(lambda: wire.frames == [{"type": "signal"}])
        wire.reading.clear()
        for _ in range(10 * QUEUE_BYTES // len(frame)):
            assert not session.offer(frame)
        wire.reading.set()
        monkeypatch.setattr(session_file, "OFFERED_BYTES", 10)
        session.put(b'{"type":"pong"}')
        assert not session.offer(frame), "an answer waits"
        await until(lambda: len(wire.frames) == 2)
        assert session.offer(frame)
        await until(lambda: len(wire.frames) == 3)
    assert wire.code is None
