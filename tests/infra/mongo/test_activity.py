"""Where conversations stand in a timeline: at their newest message up to a horizon, and nowhere else."""

from __future__ import annotations

import pytest

from domain.conversations import Conversation
from infra.mongo.activity import ActivityStore, Empty, Newest, Window
from infra.mongo.client import UNIONS_AT_ONCE
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import Line, TimelineStore
from tests.builders import stored


@pytest.fixture
def activity(database):
    return ActivityStore(database)


@pytest.fixture
def arrive(database):
    """Puts lines at the end of Ann's timeline: `g:a 3` a message, `g:a 3 edit` a record of another type."""
    head = 0

    async def arrive(*places: str) -> None:
        nonlocal head
        messages, lines = [], []
        for place in places:
            conversation, seq, *other_type = place.split()
            one = stored(conversation, int(seq))
            messages.append(one._replace(type=other_type[0], target=1) if other_type else one)
            head += 1
            lines.append(Line("ann", head, conversation, int(seq)))
        assert await MessageStore(database).insert(messages) == []
        assert await TimelineStore(database).append(lines) == len(lines)

    return arrive


@pytest.fixture
def found(database):
    """Makes a conversation in which Ann is."""

    async def found(conversation: str, created_at_ms: int = 1) -> None:
        made = Conversation(conversation, "group", None, created_at_ms)
        assert await ConversationStore(database).create(made, ["ann", "bob"])

    return found


async def test_window_has_the_highest_line_of_each_conversation(activity, arrive):
    await arrive("g:a 1", "g:b 1", "g:a 2", "g:b 2", "g:c 1")
    assert await activity.window("ann", 6, 3) == Window(2, {"g:a": 3, "g:b": 4, "g:c": 5})
    assert await activity.window("ann", 4, 2) == Window(1, {"g:a": 3, "g:b": 2})
    assert await activity.window("ann", 2**53, 9) == Window(0, {"g:a": 3, "g:b": 4, "g:c": 5})
    assert await activity.window("ann", 1, 9) == Window(0, {})
    assert await activity.window("bob", 6, 9) == Window(0, {})


async def test_window_leaves_out_what_belongs_to_no_conversation(activity, arrive):
    await arrive("g:a 1", "u:settings 1 settings")
    assert await activity.window("ann", 3, 2) == Window(0, {"g:a": 1})


async def test_conversation_stands_at_its_newest_message(activity, arrive):
    await arrive("g:a 1", "g:b 1", "g:a 2")
    assert await activity.newest("ann", ["g:a", "g:b", "g:none"], 3) == {
        "g:a": Newest("g:a", 2, 3),
        "g:b": Newest("g:b", 1, 2),
    }
    assert await activity.newest("bob", ["g:a"], 3) == {}
    assert await activity.newest("ann", [], 3) == {}


async def test_what_lies_beyond_the_horizon_does_not_count(activity, arrive):
    await arrive("g:a 1", "g:a 2", "g:b 1")
    assert await activity.newest("ann", ["g:a", "g:b"], 1) == {"g:a": Newest("g:a", 1, 1)}


async def test_record_of_another_type_does_not_count(activity, arrive):
    await arrive("g:a 1", "g:a 2 edit", "g:a 3 reactions", "g:b 1 conversation")
    assert await activity.newest("ann", ["g:a", "g:b"], 4) == {"g:a": Newest("g:a", 1, 1)}


@pytest.mark.parametrize("records", [1, 31, 32, 33, 34, 600])
async def test_message_is_found_behind_any_number_of_records(activity, arrive, records):
    await arrive("g:a 1", *(f"g:a {seq} reactions" for seq in range(2, 2 + records)), "g:b 1 conversation")
    found = await activity.newest("ann", ["g:a", "g:b"], records + 2)
    assert found == {"g:a": Newest("g:a", 1, 1)}


async def test_message_that_came_late_does_not_count_before_a_newer_one(activity, arrive):
    await arrive("g:a 2", "g:a 1")
    assert await activity.newest("ann", ["g:a"], 2) == {"g:a": Newest("g:a", 2, 1)}


async def test_many_are_looked_up_together(activity, arrive):
    places = [f"g:{number} 1" for number in range(UNIONS_AT_ONCE + 2)]
    await arrive(*places)
    found = await activity.newest("ann", [place.split()[0] for place in places], 1_000)
    assert len(found) == len(places)


async def test_census_tells_all_and_who_is_unsure(activity, arrive, found):
    for number, name in enumerate("abcdef"):
        await found(f"g:{name}", number)
    await arrive("g:a 1", "g:b 1", "g:c 1", "g:c 2 edit", "g:stranger 1", "g:a 2")
    census = await activity.census("ann", 5, 100, None, 10)
    assert census.placed == [Newest("g:b", 1, 2)]
    assert sorted(census.unsure) == ["g:a", "g:c"]
    assert census.empty == [Empty("g:f", 5), Empty("g:e", 4), Empty("g:d", 3)]
    assert await activity.census("nobody", 5, 100, None, 10) == ([], [], [])


async def test_census_begins_where_it_is_asked_to(activity, arrive, found):
    for name in "abcdef":
        await found(f"g:{name}", 7 if name in "de" else 3)
    await arrive("g:a 1", "g:b 1", "g:c 1")
    census = await activity.census("ann", 3, 3, Empty("g:e", 7), 10)
    assert [one.conversation_id for one in census.placed] == ["g:b", "g:a"]
    assert [one.conversation_id for one in census.empty] == ["g:d", "g:f"]
    first = await activity.census("ann", 3, 4, None, 1)
    assert (first.placed, first.empty) == ([Newest("g:c", 1, 3)], [Empty("g:e", 7)])


@pytest.mark.parametrize("count, more", [(0, True), (2, True), (3, False), (4, False)])
async def test_number_of_conversations_is_compared(activity, found, count, more):
    for name in "abc":
        await found(f"g:{name}")
    assert await activity.has_more_than("ann", count) is more
