"""The registers of a message against a plain model, under any order and repetition of writes."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.ids import UserId
from domain.registers import shown
from infra.mongo.messages import MessageStore
from infra.mongo.registers import (
    MOST_EDITS,
    edit_write,
    hidden_write,
    pin_write,
    reacted,
    recall_write,
    registers_of,
    told_write,
)
from infra.mongo.rows import Place
from infra.mongo.terms import Document, Write
from tests.builders import ANN, BOB, CEM, opened_database, settings_for, stored
from tests.models import run_model

AT = "2026-01-02T03:04:05.678Z"
FIELDS = ("m", "e", "x", "a", "ad", "p", "n", "hid")
revs = st.integers(2, 12)
users = st.sampled_from([ANN, BOB, CEM])
_places = itertools.count(1)


class Plain:
    """The registers by their rules. `applied` are the writes that were tried, in order."""

    def __init__(self) -> None:
        self.content: tuple[int, str, tuple[str, ...]] = (0, "text 1", ())
        self.edits: list[int] = []
        self.recall: tuple[int, UserId] | None = None
        self.pin: tuple[int, bool, UserId] | None = None
        self.told = 0
        self.version = 0
        self.given: list[tuple[str, list[UserId]]] = []
        self.hidden: set[UserId] = set()
        self.untold = False

    def edit(self, rev: int, mentions: tuple[str, ...]) -> None:
        if self.recall or rev in self.edits:
            return
        self.edits.append(rev)
        if rev > self.content[0]:
            self.content = (rev, f"text of {rev}", mentions)

    def set_recall(self, rev: int, by: UserId) -> None:
        self.recall = self.recall or (rev, by)
        self.untold = False

    def set_pin(self, rev: int, on: bool, by: UserId) -> None:
        if not self.recall and (self.pin is None or rev > self.pin[0]):
            self.pin = (rev, on, by)

    def tell(self, rev: int) -> None:
        if rev > self.told:
            self.told, self.untold = rev, False

    @property
    def shown(self) -> dict[str, Any]:
        """What of it a person sees."""
        if self.recall:
            return {"rev": max(self.recall[0], self.content[0]), "recalled": self.recall[1]}
        now: dict[str, Any] = {"text": self.content[1]}
        if self.content[0]:
            now["rev"] = self.content[0]
        if self.content[2]:
            now["mentions"] = list(self.content[2])
        if self.given:
            now["reactions"] = {key: len(some) for key, some in self.given}
        if self.pin and self.pin[1]:
            now["pinned"] = True
        return now


class Model(RuleBasedStateMachine):
    """Writes come by number, so that each rev asks for the same whenever it comes."""

    def __init__(self, messages: MessageStore, run: Callable[[Any], Any]) -> None:
        super().__init__()
        self.messages, self.run = messages, run
        self.place = self.new_message()
        self.plain = Plain()
        self.writes: list[Callable[[Place], Write]] = []

    def new_message(self) -> Place:
        place = (f"d:ann:m{next(_places)}", 1)
        self.run(self.messages.insert([stored(*place)]))
        return place

    def write(self, made: Callable[[Place], Write]) -> None:
        self.writes.append(made)
        self.run(self.messages.change_each([made(self.place)]))

    @rule(rev=revs)
    def edit(self, rev):
        self.write(lambda place: _edit(place, rev))
        self.plain.edit(rev, _mentioned(rev))

    @rule(rev=revs)
    def recall(self, rev):
        if rev % 4:  # rarely: nothing changes a message afterwards
            return
        self.write(lambda place: recall_write(place, rev, ANN, AT))
        self.plain.set_recall(rev, ANN)

    @rule(rev=revs)
    def pin(self, rev):
        self.write(lambda place: pin_write(place, rev, BOB, rev % 2 == 0))
        self.plain.set_pin(rev, rev % 2 == 0, BOB)

    @rule(rev=revs)
    def tell(self, rev):
        self.write(lambda place: told_write(place, rev))
        self.plain.tell(rev)

    @rule(user=users)
    def hide(self, user):
        self.write(lambda place: hidden_write(place, user))
        self.plain.hidden.add(user)

    @rule(user=users, late=st.booleans())
    def react(self, user, late):
        """Late: the reactions were read before somebody else's."""
        version = self.plain.version - late
        given = [*self.plain.given, (f":{user}{version}:", [user])]
        where, change = reacted(self.place, max(version, 0), given, 1)
        done = self.run(self.messages.change(where, change))
        may = not self.plain.recall and (not late or self.plain.version == 0)
        assert done == may
        if may:
            self.plain.given, self.plain.untold = given, True
            self.plain.version += 1

    @rule(at=st.integers(0, 200))
    def write_again(self, at):
        """What was written before comes once more, and is no news."""
        if self.writes:
            before = self.document()
            self.run(self.messages.change_each([self.writes[at % len(self.writes)](self.place)]))
            after = self.document()
            before.pop("ad", None), after.pop("ad", None)
            late = self.plain.recall and after.get("a") != before.get("a")
            assert after == before or late

    def document(self) -> Document:
        return self.run(self.messages.documents([self.place], FIELDS))[self.place]

    @invariant()
    def registers_are_those_of_the_model(self):
        document, plain = self.document(), self.plain
        registers = registers_of(document)
        assert sorted(registers.edit.revs if registers.edit else []) == sorted(plain.edits)
        assert len(plain.edits) <= MOST_EDITS
        assert set(document.get("hid", ())) == plain.hidden
        assert document.get("n", []) == ([] if plain.recall else list(plain.content[2]))
        assert (registers.reactions.rev if registers.reactions else 0) == plain.told
        now = json.loads(shown(document["m"], registers))
        assert _seen(now) == plain.shown

    def teardown(self):
        """I6: the same writes in another order, some of them twice, leave the same message."""
        if self.plain.recall:
            return
        writes = [*self.writes, *self.writes[::2]]
        random.Random(len(writes)).shuffle(writes)
        other = self.new_message()
        if self.plain.given:
            self.run(self.messages.change(*reacted(other, 0, self.plain.given, 1)))
        self.run(self.messages.change_each([made(other) for made in writes]))
        found = self.run(self.messages.documents([other], FIELDS))[other]
        assert _seen(json.loads(shown(found["m"], registers_of(found)))) == self.plain.shown
        assert set(found.get("hid", ())) == self.plain.hidden


def _mentioned(rev: int) -> tuple[str, ...]:
    return (("bob",), (), ("bob", "cem"))[rev % 3]


def _edit(place: Place, rev: int) -> Write:
    return edit_write(place, rev, json.dumps({"text": f"text of {rev}"}).encode(), _mentioned(rev), AT)


def _seen(message: dict[str, Any]) -> dict[str, Any]:
    """The same as `Plain.shown`."""
    if "recalled" in message:
        assert message["body"] == {}
        assert not message.keys() & {"reactions", "pinned", "mentions", "edited_at"}
        return {"rev": message["rev"], "recalled": message["recalled"]["by"]}
    found = {name: message[name] for name in ("rev", "mentions", "pinned") if name in message}
    if "reactions" in message:
        found["reactions"] = {key: one["count"] for key, one in message["reactions"].items()}
    return found | {"text": message["body"]["text"]}


def test_registers_are_those_of_the_model_whatever_the_order(engines, unique):
    opening = opened_database(settings_for(engines, unique))
    run_model(opening, 30, lambda database, run: Model(MessageStore(database), run))


async def test_edits_of_a_message_are_bounded(engines, unique):
    async with opened_database(settings_for(engines, unique)) as database:
        messages, place = MessageStore(database), ("d:ann:bob", 1)
        await messages.insert([stored(*place)])
        await messages.change_each([_edit(place, rev) for rev in range(2, MOST_EDITS + 10)])
        registers = registers_of((await messages.documents([place], FIELDS))[place])
        assert list(registers.edit.revs) == list(range(2, MOST_EDITS + 2))
        assert registers.edit.rev == MOST_EDITS + 1
