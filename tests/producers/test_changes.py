"""Stored changes take effect, each once, in whatever order processes get to them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from domain.changes import Change, Marked, Settings
from domain.ids import own_id
from infra.mongo.messages import Stored
from tests.builders import ANN, ANN_BOB, BOB, stored, stored_change
from tests.replica import Replica

FIRST, SECOND, THIRD = range(3)


def own(type_: Any, seq: int, value: msgspec.Struct) -> Stored:
    """A change of Bob's own state, with this seq."""
    change = Change(type_, own_id(BOB), BOB, f"n{seq}", 0, Raw(msgspec.json.encode(value)))
    return stored_change(change, seq)


async def settled(town, *changes: Stored) -> list[tuple[str, dict]]:
    """What the entry of each of these carries, each settled by itself, in this order."""
    entries = []
    for change in changes:
        place = (change.conversation_id, change.seq)
        carried = json.loads((await town.stores.changes.settle([change]))[place].carried)
        entries.append((carried["type"], carried[carried["type"]]))
    return entries


async def me(town) -> dict:
    """Bob's own state as the store has it, as a device shows it."""
    parts = await town.stores.conversations.parts([(ANN_BOB, BOB)])
    part = parts[ANN_BOB, BOB].own
    names = ("read_seq", "marked_unread", "pinned", "archived", "muted_until", "draft", "cleared_seq")
    return {name: getattr(part, name) for name in names}


def device_with(entries) -> dict:
    replica = Replica(BOB)
    for type_, value in entries:
        replica.take(type_, value)
    shown = replica.me(ANN_BOB)
    del shown["unread"]
    return shown


OVERLAPPING = {
    "settings": (
        Settings(ANN_BOB, {"pinned": True}),
        Settings(ANN_BOB, {"draft": "later"}),
        Settings(ANN_BOB, {"pinned": False, "archived": True}),
    ),
    "cleared": (
        Settings(ANN_BOB, {"cleared_seq": 2}),
        Settings(ANN_BOB, {"cleared_seq": 3, "draft": "x"}),
        Settings(ANN_BOB, {"cleared_seq": 1}),
    ),
    "read": (Marked(ANN_BOB, 3), Marked(ANN_BOB), Marked(ANN_BOB, 2)),
}


@pytest.mark.parametrize("order", list(itertools.permutations((FIRST, SECOND, THIRD))))
@pytest.mark.parametrize("type_", OVERLAPPING)
async def test_overlapping_changes_of_own_state_are_the_same_on_every_device(town, type_, order):
    """Each is settled after it has got its number, by a process that may have stood still meanwhile."""
    await town.direct()
    type_of = "settings" if type_ == "cleared" else type_
    changes = [own(type_of, seq, value) for seq, value in enumerate(OVERLAPPING[type_], 1)]
    await town.stores.messages.insert([*changes, *(stored(ANN_BOB, seq) for seq in (1, 2, 3))])
    pushed = await settled(town, *[changes[n] for n in order])
    expected = {
        "settings": {"pinned": False, "archived": True, "draft": "later"},
        "cleared": {"cleared_seq": 3, "draft": "x"},
        "read": {"read_seq": 3, "marked_unread": False},
    }
    now = await me(town)
    assert now | expected[type_] == now
    for arrived in itertools.permutations(pushed):
        assert device_with(arrived) == now
    contents = await town.stores.contents.of([(own_id(BOB), seq) for seq in (1, 2, 3)])
    pulled = [json.loads(content.carried) for content in contents.values()]
    assert device_with((one["type"], one[one["type"]]) for one in pulled) == now


async def test_own_state_that_is_settled_again_is_no_other_state(town):
    await town.direct()
    changes = [own("settings", seq, value) for seq, value in enumerate(OVERLAPPING["settings"], 1)]
    await town.stores.messages.insert(changes)
    await settled(town, *changes)
    before = await me(town)
    again = await settled(town, *changes)
    assert await me(town) == before
    assert {value["rev"] for _, value in again} == {max(value["rev"] for _, value in again)}
    assert device_with(again) == before


async def test_change_whose_process_died_takes_effect_when_the_relay_reads_it(town):
    """It was stored, and nobody was told. What the relay spreads is in effect first."""
    await town.direct()
    edit = Change("edit", ANN_BOB, ANN, "e", 1, Raw(b'{"body":{"text":"edited"},"mentions":[]}'))
    await town.stores.messages.insert(
        [stored(ANN_BOB, 1), stored_change(edit, 2), own("settings", 1, Settings(ANN_BOB, {"draft": "x"}))]
    )
    found = await town.stores.changes.settled([(ANN_BOB, 2), (own_id(BOB), 1)])
    assert b"edited" in found[ANN_BOB, 2].carried
    assert b"edited" in (await town.stores.contents.of([(ANN_BOB, 1)]))[ANN_BOB, 1].carried
    assert (await me(town))["draft"] == "x"
    assert b'"draft":"x"' in found[own_id(BOB), 1].carried
