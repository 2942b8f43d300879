"""Reactions are told by few records, and the last one tells all."""

from __future__ import annotations

import pytest

from domain.ids import UserId
from producers.conflated import LEAST_S, MOST_S, Conflated
from producers.reactions import Reactions
from tests.builders import ANN, conversation, draft

MEMBERS, STORM, STORM_S = 500, 300, 60.0
MOST_INBOX_WRITES = 12_000
GROUP = "g:abcdefghijklmnop"
KEYS = ("👍", "🎉", ":ok:")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def message(town) -> str:
    """A message to a large group."""
    users = [ANN, *(UserId(f"user-{number}") for number in range(1, MEMBERS))]
    await town.stores.conversations.create(conversation(GROUP, owner=ANN), users)
    return (await town.send(draft(GROUP))).sent.message_id


async def told(town) -> list[int]:
    """The seqs of the records of reactions."""
    places = [(GROUP, seq) for seq in range(1, await town.stores.messages.last(GROUP) + 1)]
    found = await town.stores.messages.documents(places, ["t"])
    return [seq for (_, seq), document in sorted(found.items()) if document.get("t") == "reactions"]


async def shown(town, message: str) -> dict[str, int]:
    """Reaction → its count, by the newest record."""
    seq = (await told(town))[-1]
    content = (await town.stores.changes.settled([(GROUP, seq)]))[GROUP, seq]
    assert message.encode() in content.carried
    document = (await town.stores.messages.documents([(GROUP, 1)], ["a"]))[GROUP, 1]
    assert document["a"]["r"] == seq
    return {key: len(users) for key, users in document["a"]["k"]}


async def test_storm_of_reactions_costs_few_inbox_writes_and_the_last_record_tells_all(town, message):
    clock = Clock()
    conflated = Conflated(town.path.sender, town.stores.messages, town.path.membership, clock)
    reactions = Reactions(town.stores.messages, town.path.reading, town.path.membership, conflated)
    for number in range(STORM):
        user = UserId(f"user-{number % (MEMBERS - 1) + 1}")
        await reactions.put(user, message, KEYS[number % len(KEYS)])
        await conflated.step()
        town.path.backlog.served(town.path.backlog.recipients, 0.0)
        clock.now += STORM_S / STORM
    records = len(await told(town))
    assert 2 <= records <= MOST_INBOX_WRITES / MEMBERS
    clock.now += MOST_S
    await conflated.step()
    assert len(await told(town)) == records + 1
    assert await shown(town, message) == dict.fromkeys(KEYS, STORM / len(KEYS))
    clock.now += 2 * MOST_S
    await conflated.step()
    assert len(await told(town)) == records + 1, "nothing has changed"


async def test_reaction_after_a_quiet_time_is_told_at_once(town, message):
    clock = Clock()
    conflated = Conflated(town.path.sender, town.stores.messages, town.path.membership, clock)
    reactions = Reactions(town.stores.messages, town.path.reading, town.path.membership, conflated)
    for number, (wait_s, records) in enumerate([(0.0, 1), (0.1, 1), (LEAST_S, 2), (4 * LEAST_S, 3)]):
        clock.now += wait_s
        await reactions.put(UserId(f"user-{number + 1}"), message, ":ok:")
        await conflated.step()
        assert len(await told(town)) == records
