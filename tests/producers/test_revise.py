"""What an edit leaves as it was."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec import Raw

from domain.errors import Conflict, Forbidden
from producers.revise import Revise
from tests.builders import ANN, ANN_BOB, BOB, CEM, draft, stored

ONE, TWO = (Raw(json.dumps({"text": text}).encode()) for text in ("one", "two"))


@pytest.fixture
def revise(town) -> Revise:
    path, settings = town.path, town.clients.settings.message
    return Revise(path.sender, path.reading, town.stores.messages, path.membership, settings)


async def mentioned(town, message_id: str) -> list:
    """Who is mentioned, by the message as it is shown; and for whom it counts."""
    document, member = await town.path.reading.message(CEM, message_id)
    content = await town.stores.contents.of([(document["_id"]["c"], document["_id"]["q"])])
    (shown,) = [json.loads(one.carried) for one in content.values()]
    counts = (await town.path.unread.of(CEM, [(document["_id"]["c"], member)]))[0]
    return [shown.get("mentions", []), counts.mentions]


async def test_mentions_stay_if_an_edit_gives_none(town, revise):
    group = await town.group(ANN, BOB, CEM)
    sent = (await town.send(draft(group))).sent
    await revise.edit(ANN, sent.message_id, "e1", ONE, ("cem",))
    assert await mentioned(town, sent.message_id) == [["cem"], 1]
    await revise.edit(ANN, sent.message_id, "e2", TWO, None)
    assert await mentioned(town, sent.message_id) == [["cem"], 1]
    await revise.edit(ANN, sent.message_id, "e3", ONE, ())
    assert await mentioned(town, sent.message_id) == [[], 0]


async def test_edit_without_mentions_is_repeated_whatever_the_mentions_are_by_then(town, revise):
    group = await town.group(ANN, BOB, CEM)
    sent = (await town.send(draft(group))).sent
    await revise.edit(ANN, sent.message_id, "e1", ONE, None)
    await revise.edit(ANN, sent.message_id, "e2", TWO, ("cem",))
    await revise.edit(ANN, sent.message_id, "e1", ONE, None)
    assert await mentioned(town, sent.message_id) == [["cem"], 1]
    with pytest.raises(Conflict):
        await revise.edit(ANN, sent.message_id, "e1", ONE, ("cem",))


async def test_edit_and_recall_have_their_time(town, revise):
    """The message is from long ago."""
    await town.direct()
    await town.stores.messages.insert([stored(ANN_BOB, 1)])
    name = f"{ANN_BOB}:1"
    with pytest.raises(Forbidden):
        await revise.edit(ANN, name, "e1", ONE, None)
    with pytest.raises(Forbidden):
        await revise.recall(ANN, name)


async def test_nobody_edits_what_another_has_sent(town, revise):
    await town.direct()
    sent = (await town.send(draft())).sent
    with pytest.raises(Forbidden):
        await revise.edit(BOB, sent.message_id, "e1", ONE, None)


async def test_edit_that_a_recall_overtakes_is_a_conflict(town, revise):
    """The message could be edited when it was asked for, and not any more when the edit took effect."""
    await town.direct()
    sent = (await town.send(draft())).sent
    path, settings = town.path, town.clients.settings.message

    class Overtaken:
        async def change(self, change, recipients=1):
            await revise.recall(ANN, sent.message_id)
            return await path.sender.change(change, recipients)

    late = Revise(Overtaken(), path.reading, town.stores.messages, path.membership, settings)
    with pytest.raises(Conflict):
        await late.edit(ANN, sent.message_id, "e1", ONE, None)


async def test_pins_that_are_set_at_once_keep_to_their_limit(town, revise, monkeypatch):
    """I8."""
    monkeypatch.setattr("producers.revise.MOST_PINS", 3)
    conversation = await town.direct()
    sent = [(await town.send(draft(conversation))).sent.message_id for _ in range(8)]
    pins = (revise.pin(ANN, one, on=True) for one in sent)
    results = await asyncio.gather(*pins, return_exceptions=True)
    assert [one for one in results if one is True] == [True] * 3
    assert all(isinstance(one, Conflict) for one in results if one is not True)
    assert len(await town.stores.messages.pinned(conversation)) == 3
