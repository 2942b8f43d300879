"""I9: poison is buried alone, with its origin. Whatever an engine says is no poison."""

from __future__ import annotations

import pytest

from domain.errors import BadRequest, Internal, Unavailable
from infra.kafka.topics import DELIVERIES
from tests.builders import running, until
from tests.consumers.notes import Notes, Picky, letters


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
    assert (headers["error"], headers["message"]) == (b"BadRequest", b"thirteen")
    assert found[b"garbage"][1]["error"] == b"ValueError"


async def test_poison_of_a_record_is_buried_alone_and_its_neighbours_in_the_record_are_handled(
    town, loop_of, publish, committed
):
    """I9: whether it does not decode, or a rule refuses it; a letter holds one message."""
    notes = Picky()
    await publish(["1,2,garbage,3,13,4", "unreadable", "5,13"], 3)
    async with running(loop_of(notes)):

        async def all_committed() -> bool:
            return await committed() == {3: 3}

        await until(all_committed)
    assert notes.of(3) == [1, 2, 3, 4, 5]
    found = [(letter.value, dict(letter.headers)["offset"]) for letter in await letters(town)]
    assert sorted(found) == [(b"13", b"0"), (b"13", b"2"), (b"garbage", b"0"), (b"unreadable", b"1")]


@pytest.mark.parametrize(
    "error", [Internal("code 8000"), LookupError("of a driver"), TypeError("of a driver"), OSError("disk")]
)
async def test_whatever_an_engine_says_is_tried_again_and_never_a_dead_letter(
    town, loop_of, publish, committed, error
):
    """I9: an error that is on no list would otherwise bury whole streams."""

    class Odd(Notes):
        faults = 3

        async def work(self, batch):
            if self.faults > 1:
                self.faults -= 1
                raise error
            self.note(batch)
            return self.finish()

        async def finish(self) -> None:
            if self.faults:
                self.faults -= 1
                raise error

    notes = Odd()
    await publish(["1,2", "3"])
    async with running(loop_of(notes)):

        async def all_committed() -> bool:
            return await committed() == {0: 2}

        await until(all_committed)
    assert notes.faults == 0
    assert set(notes.of(0)) == {1, 2, 3}
    assert await letters(town) == []


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


async def test_fault_while_poison_is_sought_does_not_end_the_loop(town, loop_of, publish):
    """I9: the neighbours of a poison may meet a transient fault, too."""

    class Both(Notes):
        faults = 1

        async def work(self, batch):
            if any(number == 13 for _, number in batch):
                raise BadRequest("thirteen")
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
