"""The loop on a real Kafka, with a handler that only notes what it was given."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence

import pytest

from consumers.dead_letter import DeadLetters
from consumers.loop import Loop, Taken
from domain.errors import Unavailable
from infra.kafka.publisher import Record
from infra.kafka.topics import DELIVERIES, DLQ
from tests.builders import PARTITIONS, running, until


class Notes:
    """Handles numbers; a subclass of a test says what goes wrong."""

    group = "inbox"
    topic = DELIVERIES

    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []
        self.begun = 0

    def decode(self, value: bytes) -> int:
        return int(value)

    async def handle(self, batch: Sequence[Taken[int]]) -> Awaitable[object] | None:
        self.begun += len(batch)
        return await self.work(batch)

    async def work(self, batch: Sequence[Taken[int]]) -> Awaitable[object] | None:
        self.note(batch)
        return None

    def note(self, batch: Sequence[Taken[int]]) -> None:
        self.done += [(partition, number) for partition, number in batch]

    def of(self, partition: int) -> list[int]:
        return [number for place, number in self.done if place == partition]


class Picky(Notes):
    """To it 13 is poison."""

    async def work(self, batch):
        if any(number == 13 for _, number in batch):
            raise LookupError("thirteen")
        self.note(batch)


@pytest.fixture
def loop_of(town, settings):
    return lambda handler: Loop(town.log, handler, DeadLetters(town.publisher), settings.worker)


@pytest.fixture
def publish(town):
    async def publish(values: Sequence[object], partition: int = 0) -> None:
        records = [Record(DELIVERIES, partition, b"k", str(value).encode()) for value in values]
        await (await town.publisher.enqueue(records)).confirmed()

    return publish


@pytest.fixture
def committed(town):
    async def committed() -> dict[int, int]:
        return (await town.inbox.look()).committed

    return committed


async def letters(town) -> list:
    """All dead letters of the topic, by partition and offset."""
    consumer = town.log.consumer("letters", 10)
    consumer.subscribe([town.log.topic(DELIVERIES + DLQ)])
    await consumer.start()
    async with town.log.observer() as observer:
        count = sum((await observer.bounds(DELIVERIES + DLQ))[1].values())
    found: list = []

    async def all_read() -> bool:
        found.extend(r for some in (await consumer.getmany(timeout_ms=100)).values() for r in some)
        return len(found) == count

    await until(all_read)
    await consumer.stop()
    return found


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
    loop = loop_of(notes)
    async with running(loop):
        await until(lambda: notes.begun == 3)
        since = loop._committed_at
        await until(lambda: loop._committed_at > since)
        assert await committed() == {}
        finish.set_result(None)

        async def all_committed() -> bool:
            return await committed() == {1: 3}

        await until(all_committed)


async def test_transient_fault_is_retried_in_place_and_never_a_dead_letter(town, loop_of, publish):
    """I9."""

    class Shaky(Notes):
        faults = 3

        async def work(self, batch):
            if self.faults:
                self.faults -= 1
                raise Unavailable("not now")
            self.note(batch)

    notes = Shaky()
    await publish(range(2))
    async with running(loop_of(notes)):
        await until(lambda: len(notes.done) == 2)
    assert notes.of(0) == [0, 1]
    assert await letters(town) == []


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_are_handled(
    town, loop_of, publish, committed
):
    """I9: with the reason and its origin in headers; its partition moves on."""

    notes = Picky()
    await publish([1, 2, "garbage", 3, 13, 4, 5], 3)
    async with running(loop_of(notes)):
        await until(lambda: len(notes.done) == 5)
    assert notes.of(3) == [1, 2, 3, 4, 5]
    assert await committed() == {3: 7}
    found = {letter.value: (letter.partition, dict(letter.headers)) for letter in await letters(town)}
    assert set(found) == {b"garbage", b"13"}
    partition, headers = found[b"13"]
    assert partition == 3
    assert headers["topic"] == DELIVERIES.encode()
    assert (headers["partition"], headers["offset"], headers["group"]) == (b"3", b"4", b"inbox")
    assert (headers["error"], headers["message"]) == (b"LookupError", b"thirteen")
    assert found[b"garbage"][1]["error"] == b"ValueError"


@pytest.mark.parametrize("values", [[13, 1], [1, 13], [13, 1, 2], [1, 13, 13, 2]], ids=str)
async def test_poison_alone_goes_to_the_dead_letters_wherever_it_stands(
    town, loop_of, publish, committed, values
):
    """I9."""

    notes = Picky()
    await publish(values)
    async with running(loop_of(notes)):

        async def all_committed() -> bool:
            return await committed() == {0: len(values)}

        await until(all_committed)
    assert notes.of(0) == [value for value in values if value != 13]
    assert [letter.value for letter in await letters(town)] == [b"13"] * values.count(13)


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


async def test_fault_while_poison_is_sought_does_not_end_the_loop(town, loop_of, publish):
    """I9: the neighbours of a poison may meet a transient fault, too."""

    class Both(Notes):
        faults = 1

        async def work(self, batch):
            if any(number == 13 for _, number in batch):
                raise LookupError("thirteen")
            self.note(batch)
            return self.finish()

        async def finish(self) -> None:
            if self.faults:
                self.faults -= 1
                raise Unavailable("not confirmed")

    notes = Both()
    await publish([1, 13, 2])
    async with running(loop_of(notes)):
        await until(lambda: {1, 2} <= set(notes.of(0)))
    assert [letter.value for letter in await letters(town)] == [b"13"]


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
    async with running(Loop(town.log, notes, DeadLetters(town.publisher), tight)):
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
