"""Edits and recalls in rings and timelines, whatever overtakes what, and whoever dies or stands still."""

from __future__ import annotations

import itertools
import random
import secrets

import pytest
import pytest_asyncio
from msgspec import Raw, structs

from consumers.loop import Taken
from domain.errors import Unavailable
from tests.builders import opened_clients, settings_for
from tests.consumers.changing import EDITED, TEXT, Changing

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECOND, THIRD, FOURTH = range(2, 5)
SEEDS = range(12)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(engines):
    """One set of topics for all: each test has people and a conversation of its own."""
    settings = settings_for(engines, f"t{secrets.token_hex(5)}", ring={"capacity": 5})
    async with opened_clients(settings) as opened:
        yield opened


@pytest.fixture
def changing(clients) -> Changing:
    return Changing(clients)


class _Dead(Exception):
    """The process is gone."""


async def die() -> None:
    raise _Dead


async def lose_redis() -> None:
    raise Unavailable("Redis does not answer.")


async def test_recall_that_overtakes_its_message_leaves_no_text(changing):
    """The message is late: its line is written with the recall, and its own delivery changes nothing."""
    await changing.open_rings()
    sent = await changing.sent(1)
    await changing.deliver(await changing.changed("recall", SECOND))
    before = [await changing.in_ring(user) for user in changing.users]
    await changing.deliver(sent)
    assert [await changing.in_ring(user) for user in changing.users] == before
    await changing.nowhere()
    assert [entry["type"] for entry in await changing.pulled(changing.bob)] == ["message", "recall"]


async def test_edit_that_comes_after_the_recall_leaves_no_text(changing):
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    edited = await changing.changed("edit", SECOND)
    recalled = await changing.changed("recall", THIRD)
    await changing.deliver(recalled)
    await changing.deliver(edited)
    await changing.nowhere()
    assert [entry["type"] for entry in await changing.pulled(changing.bob)] == ["message", "recall", "edit"]


async def test_late_edit_brings_no_recalled_text_into_rings(changing):
    """Not even until its place in the ring is replaced."""
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    edited = await changing.changed("edit", SECOND)
    await changing.deliver(await changing.changed("recall", THIRD))

    async def look() -> None:
        for user in changing.users:
            assert TEXT.encode() not in await changing.in_ring(user)

    async with changing.ring.before("replace", look):
        await changing.deliver(edited)


async def test_message_that_was_relayed_with_its_content_of_then_is_not_brought_back(changing):
    """The relay spreads a message as it is when it reads it. It may be recalled before it arrives."""
    await changing.sent(1)
    edited = await changing.changed("edit", SECOND)
    place = (edited.event.conversation_id, 1)
    relayed = (await changing.stores.contents.of([place]))[place].carried
    await changing.open_rings()
    await changing.deliver(await changing.changed("recall", THIRD))
    late = structs.replace(edited.event, seq=1, message=Raw(relayed))
    await changing.deliver(edited._replace(event=late), edited)
    await changing.nowhere()


@pytest.mark.parametrize("type_, step", [("message", "append"), ("edit", "append"), ("edit", "replace")])
async def test_inbox_that_stood_still_brings_no_recalled_text_back(changing, type_, step):
    """It goes on after its partition was given to another inbox, which has handled the recall."""
    await changing.open_rings()
    records = [await changing.sent(1)]
    if type_ == "edit":
        await changing.deliver(*records)
        records = [await changing.changed("edit", SECOND)]
    still = changing.new_ring()

    async def meanwhile() -> None:
        recalled = await changing.changed("recall", THIRD)
        await changing.deliver(*records, recalled)

    async with still.before(step, meanwhile):
        await changing.deliver(*records, inbox=changing.inbox(still))
    await changing.nowhere()


async def test_inbox_that_stood_still_brings_no_older_edit_back(changing):
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    edited = await changing.changed("edit", SECOND)
    still = changing.new_ring()

    async def meanwhile() -> None:
        await changing.deliver(edited, await changing.changed("edit", THIRD))

    async with still.before("replace", meanwhile):
        await changing.deliver(edited, inbox=changing.inbox(still))
    for user in changing.users:
        assert {entry[entry["type"]]["rev"] for entry in await changing.pulled(user)} == {THIRD}


async def test_recall_with_a_number_before_the_edit_that_it_found_leaves_no_text(changing):
    """It got its number first, and takes effect last."""
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    recall = await changing.stored("recall", SECOND)
    await changing.deliver(await changing.changed("edit", THIRD))
    await changing.deliver(await changing.settled(recall))
    await changing.nowhere()


@pytest.mark.parametrize("moment", ["before it", "emptied before it"])
@pytest.mark.parametrize("type_", ["edit", "recall"])
async def test_ring_that_is_rebuilt_during_a_change_has_the_new_content(changing, type_, moment):
    """A reader has claimed the ring and read the old content. Then the change comes."""
    sent = await changing.sent(1)
    await changing.deliver(sent)

    async def change() -> None:
        if moment == "emptied before it":
            await changing.empty_redis()
        await changing.deliver(await changing.changed(type_, SECOND))

    async with changing.ring.before("fill", change):
        await changing.pulled(changing.ann)
    for user in changing.users:
        assert f'"{TEXT}"'.encode() not in await changing.in_ring(user)
        now = {entry[entry["type"]]["rev"] for entry in await changing.pulled(user)}
        assert now == {SECOND}


@pytest.mark.parametrize("step", ["append", "replace"])
@pytest.mark.parametrize("event", [die, lose_redis])
async def test_recall_whose_inbox_dies_or_loses_redis_leaves_no_text(changing, step, event):
    """Another inbox handles the record again, or the rings that missed it are dropped."""
    await changing.open_rings()
    await changing.deliver(await changing.sent(1), await changing.changed("edit", SECOND))
    recalled = await changing.changed("recall", THIRD)
    inbox = changing.inbox()
    async with changing.ring.before(step, event):
        if event is die:
            with pytest.raises(_Dead):
                await changing.deliver(recalled, inbox=inbox)
        else:
            await changing.deliver(recalled, inbox=inbox)
    if event is die:
        await changing.deliver(recalled)
    else:
        await changing.drop_rings_that_are_behind()
    await changing.nowhere()
    assert [entry["type"] for entry in await changing.pulled(changing.bob)] == ["message", "edit", "recall"]


@pytest.mark.parametrize("order", list(itertools.permutations((SECOND, THIRD, FOURTH))))
async def test_edits_take_effect_in_any_order_and_the_highest_rev_wins(changing, order):
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    edits = {seq: await changing.stored("edit", seq) for seq in order}
    for seq in order:
        await changing.deliver(await changing.settled(edits[seq]))
    for shown in (await changing.shown()).values():
        assert (shown["text"], shown["rev"]) == (f"{EDITED} {FOURTH}", FOURTH)


@pytest.mark.parametrize("type_, value", [("pin", True), ("reactions", None)])
@pytest.mark.parametrize("first", ["recall", "other"])
@pytest.mark.parametrize("delivered", ["in order", "reversed"])
async def test_pin_or_reaction_that_overlaps_a_recall_is_gone(changing, type_, value, first, delivered):
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    if type_ == "reactions":
        await changing.react(":ok:")
    recall = await changing.stored("recall", THIRD)
    other = await changing.stored(type_, SECOND, 1, value)
    order = [recall, other] if first == "recall" else [other, recall]
    records = [await changing.settled(one) for one in order]
    for record in records if delivered == "in order" else reversed(records):
        await changing.deliver(record)
    await changing.nowhere()
    for shown in (await changing.shown()).values():
        assert (shown["recalled"], shown["pinned"], shown["reactions"]) == (True, False, {})


@pytest.mark.parametrize("type_", ["edit", "recall"])
async def test_who_has_left_is_not_handed_the_old_text(changing, type_):
    """Their stay holds the message and not its change: they get no entry, and read what it says now."""
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    one = await changing.stored(type_, SECOND)
    for record in await changing.spread(one, left=(changing.bob, SECOND)):
        await changing.deliver(record)
    assert [entry["type"] for entry in await changing.pulled(changing.bob)] == ["message"]
    assert [entry["type"] for entry in await changing.pulled(changing.ann)] == ["message", type_]
    for user in changing.users:
        assert f'"{TEXT}"'.encode() not in await changing.in_ring(user)
    assert (await changing.pulled(changing.bob))[0]["message"]["rev"] == SECOND


async def test_recall_in_several_deliveries_replaces_the_content_for_all(changing):
    """A large group has more recipients than one delivery names."""
    await changing.open_rings()
    await changing.deliver(await changing.sent(1))
    partition, recalled = await changing.changed("recall", SECOND)
    each = [Taken(partition, structs.replace(recalled, to=(user,))) for user in changing.users]
    await changing.deliver(*each)
    await changing.nowhere()


@pytest.mark.parametrize("late", [True, False])
async def test_who_has_left_is_not_handed_a_recalled_text_that_is_late(changing, late):
    await changing.open_rings()
    sent = await changing.sent(1)
    if not late:
        await changing.deliver(sent, await changing.changed("edit", SECOND))
    for record in await changing.spread(await changing.stored("recall", THIRD), left=(changing.bob, THIRD)):
        await changing.deliver(record)
    await changing.deliver(sent)
    await changing.nowhere()


@pytest.mark.parametrize("seed", SEEDS)
async def test_changes_in_any_order_are_in_effect_once_and_all_devices_agree(changing, seed):
    """Each takes effect and arrives when it likes, some twice, by several inboxes; rings and Redis go."""
    rng = random.Random(seed)
    await changing.open_rings()
    sent = await changing.sent(1)
    await changing.react(":ok:")
    kinds = [("edit", None), ("edit", None), ("pin", True), ("pin", False), ("reactions", None)]
    recalls = [("recall", None)] if seed % 3 else []
    changes = [
        await changing.stored(type_, seq, 1, value)
        for seq, (type_, value) in enumerate(rng.sample(kinds + recalls, len(kinds + recalls)), SECOND)
    ]
    rng.shuffle(changes)
    waiting = [sent]
    inboxes = [changing.inbox(), changing.inbox()]
    while changes or waiting:
        if changes and (not waiting or rng.random() < 0.5):
            waiting.append(await changing.settled(changes.pop()))
            continue
        rng.shuffle(waiting)
        batch = waiting[: rng.randint(1, 3)]
        del waiting[: len(batch)]
        again = [record for record in batch if rng.random() < 0.3]
        await changing.deliver(*batch, inbox=rng.choice(inboxes))
        await changing.deliver(*again, inbox=rng.choice(inboxes))
        if rng.random() < 0.3:
            await changing.empty_redis()
        if rng.random() < 0.5:
            await changing.open_rings(rng.choice(changing.users))
    if recalls:
        await changing.nowhere()
    for user in changing.users:
        types = [entry["type"] for entry in await changing.pulled(user)]
        assert sorted(types) == sorted(["message", *(type_ for type_, _ in kinds + recalls)])
    devices = list((await changing.shown()).values())
    assert devices == [devices[0]] * len(devices)
    truth = await changing.truth()
    assert devices[0] == truth
