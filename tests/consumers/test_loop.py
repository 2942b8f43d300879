"""The loop on a real Kafka, with a handler that only notes what it was given."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from prometheus_client import REGISTRY

from consumers.loop import Loop
from domain.errors import Unavailable
from infra.kafka.groups import GroupTool
from infra.kafka.reader import Reader
from infra.kafka.topics import DELIVERIES
from infra.telemetry.names import WORKER_LAG
from tests.builders import PARTITIONS, running, until
from tests.consumers.notes import Notes


async def test_records_of_a_partition_are_handled_in_order(loop_of, publish):
    notes = Notes()
    for partition in range(PARTITIONS):
        await publish(range(120), partition)
    async with running(loop_of(notes)):
        await until(lambda: len(notes.done) == 120 * PARTITIONS)
    assert all(notes.of(partition) == list(range(120)) for partition in range(PARTITIONS))


async def test_finished_work_is_committed_while_running(loop_of, publish, committed):
    async with running(loop_of(Notes())):
        await publish(range(7), 2)

        async def all_committed() -> bool:
            return await committed() == {2: 7}

        await until(all_committed)


async def test_unfinished_work_is_not_committed(loop_of, publish, committed):
    finish: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Slow(Notes):
        async def work(self, batch):
            self.note(batch)
            return finish if batch[0].partition == 1 else None

    notes = Slow()
    await publish(range(3), 1)
    async with running(loop_of(notes)):
        await until(lambda: notes.begun == 3)
        for _ in range(2):  # the first commit that ends may have begun before
            WORKER_LAG.labels("inbox").set(-1)
            await until(lambda: REGISTRY.get_sample_value("ringpost_worker_lag", {"group": "inbox"}) != -1)
        assert await committed() == {}
        finish.set_result(None)

        async def all_committed() -> bool:
            return await committed() == {1: 3}

        await until(all_committed)


async def test_offsets_of_a_commit_that_failed_are_committed_later(
    town, loop_of, publish, committed, monkeypatch
):
    """Also when nothing new comes: the outbox rows of these messages wait for it."""
    failed, commit = 0, Reader.commit

    async def fails_first(reader, offsets, pace):
        nonlocal failed
        if offsets and failed < 2:
            failed += 1
            raise Unavailable("no coordinator")
        await commit(reader, offsets, pace)

    monkeypatch.setattr(Reader, "commit", fails_first)
    await publish(range(5), 1)
    async with running(loop_of(Notes())):

        async def all_committed() -> bool:
            return await committed() == {1: 5}

        await until(all_committed)
    assert failed == 2


async def test_work_that_fails_to_finish_is_done_again_and_nothing_is_lost(loop_of, publish, committed):
    """Also where nothing was ever committed."""

    class Fails(Notes):
        faults = 1

        async def work(self, batch):
            return self.finish(batch)

        async def finish(self, batch) -> None:
            if self.faults:
                self.faults -= 1
                raise Unavailable("not confirmed")
            self.note(batch)

    notes = Fails()
    await publish(range(10))
    async with running(loop_of(notes)):

        async def all_committed() -> bool:
            return await committed() == {0: 10}

        await until(all_committed)
    assert set(notes.of(0)) == set(range(10))
    assert notes.begun > 10


async def test_stop_finishes_and_commits_what_was_begun(loop_of, publish, committed):
    begun = asyncio.Event()
    finish = asyncio.Event()

    class Slow(Notes):
        async def work(self, batch):
            self.note(batch)
            begun.set()
            return finish.wait()

    loop = loop_of(Slow())
    await publish(range(4))
    async with running(loop):
        await begun.wait()
        loop.stop()
        finish.set()
    assert await committed() == {0: 4}


async def test_stop_does_not_wait_for_a_fault_to_pass(loop_of, publish, committed):
    class Broken(Notes):
        async def work(self, batch):
            raise Unavailable("never")

    notes = Broken()
    await publish(range(4))
    async with running(loop_of(notes)):
        await until(lambda: notes.begun)
    assert await committed() == {}


async def test_bound_of_begun_work_pauses_reading(town, publish, settings):
    """I8."""
    finish = asyncio.Event()

    class Slow(Notes):
        async def work(self, batch):
            self.note(batch)
            return finish.wait()

    notes = Slow()
    tight = settings.worker.model_copy(update={"batch": 10, "in_flight": 30})
    await publish(range(200))
    async with running(Loop(town.log, notes, town.publisher, tight)):
        await until(lambda: notes.begun > 30)
        assert notes.begun <= 40
        finish.set()
        await until(lambda: notes.begun == 200)


async def test_member_that_joins_and_leaves_under_traffic_loses_and_reorders_nothing(
    loop_of, publish, committed
):
    """Two share the partitions; what was begun is finished and committed before they change hands."""
    one, two, three = Notes(), Notes(), Notes()
    sent = 0

    async def traffic() -> None:
        nonlocal sent
        while True:
            for partition in range(PARTITIONS):
                await publish(range(sent, sent + 5), partition)
            sent += 5
            await asyncio.sleep(0)

    flowing = asyncio.create_task(traffic())
    async with running(loop_of(one)):
        await until(lambda: one.done)
        for guest in (two, three):
            async with running(loop_of(guest)):
                await until(lambda guest=guest: len(guest.done) > 50)
            seen = len(one.done)
            await until(lambda seen=seen: len(one.done) > seen + 50)
        flowing.cancel()
        await asyncio.wait([flowing])
        everything = {(partition, n) for partition in range(PARTITIONS) for n in range(sent)}
        await until(lambda: everything <= {*one.done, *two.done, *three.done})
    for notes in (one, two, three):
        assert all(_rises(notes.of(partition)) for partition in range(PARTITIONS))


def _rises(numbers: list[int]) -> bool:
    """Each record directly follows an earlier one, or begins a new stay at the partition."""
    jumps = sum(b != a + 1 for a, b in itertools.pairwise(numbers))
    return jumps <= 6


async def test_loop_tells_whether_the_group_let_it_in(loop_of):
    loop = loop_of(Notes())
    with pytest.raises(Unavailable):
        await loop.check_joined()

    async def joined() -> bool:
        try:
            await loop.check_joined()
        except Unavailable:
            return False
        return True

    async with running(loop):
        await until(joined)


async def test_worker_with_the_name_of_one_that_is_gone_takes_up_its_partitions(town, publish, settings):
    """It need not wait until the session of the one before has run out."""
    named = settings.worker.model_copy(update={"instance": "slot-1", "session_s": 300.0})
    for _ in range(2):
        notes = Notes()
        await publish(range(3), 1)
        async with running(Loop(town.log, notes, town.publisher, named)):
            await until(lambda notes=notes: len(notes.done) == 3)
        members = (await GroupTool(town.log).look("inbox", DELIVERIES)).hosts
        assert len(members) == 1
