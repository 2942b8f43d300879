from __future__ import annotations

import asyncio

import pytest

from infra.mongo.messages import CARRIED, MessageStore, Refusal
from tests.builders import stored

NEIGHBOURS = ["d:ann:bo", "d:ann:bob", "d:ann:bobb", "d:ann:boc"]


def seqs_of(page) -> list[int]:
    return [document["_id"]["q"] for document in page]


@pytest.fixture
def store(database):
    return MessageStore(database)


async def test_what_was_put_in_is_found_at_its_place(store):
    message = stored("d:ann:bob", 1)
    assert await store.insert([message]) == []
    found = await store.documents([("d:ann:bob", 1), ("d:ann:bob", 2)], ["m"])
    assert {place: document["m"] for place, document in found.items()} == {("d:ann:bob", 1): message.message}
    assert await store.by_key([("d:ann:bob", message.key)]) == {("d:ann:bob", message.key): message}


async def test_second_message_with_a_number_is_refused(store):
    await store.insert([stored("d:ann:bob", 1)])
    assert await store.insert([stored("d:ann:bob", 1)]) == [Refusal(0, number_taken=True)]


async def test_second_message_of_a_send_is_refused(store):
    """I6: one client_message_id of one sender, one message."""
    await store.insert([stored("d:ann:bob", 1, client_message_id="c")])
    refused = await store.insert([stored("d:ann:bob", 2, client_message_id="c")])
    assert refused == [Refusal(0, number_taken=False)]
    assert await store.last("d:ann:bob") == 1


async def test_refused_messages_do_not_hold_up_the_others(store):
    await store.insert([stored("d:ann:bob", 2, client_message_id="c")])
    batch = [
        stored("d:ann:bob", 1),
        stored("d:ann:bob", 2),
        stored("d:ann:bob", 3, client_message_id="c"),
        stored("d:ann:bob", 4),
    ]
    assert await store.insert(batch) == [Refusal(1, True), Refusal(2, False)]
    assert seqs_of(await store.page("d:ann:bob", 1, 9, 9, newest=False)) == [1, 2, 4]


async def test_same_client_message_id_is_free_for_others_and_elsewhere(store):
    batch = [
        stored("d:ann:bob", 1, "ann", "c"),
        stored("d:ann:bob", 2, "bob", "c"),
        stored("d:ann:cem", 1, "ann", "c"),
    ]
    assert await store.insert(batch) == []


async def test_of_concurrent_writers_of_one_number_one_wins(store):
    results = await asyncio.gather(*(store.insert([stored("d:ann:bob", 1)]) for _ in range(8)))
    assert sorted(map(len, results)) == [0] + [1] * 7


async def test_pages_do_not_leak_into_neighbouring_conversations(store):
    await store.insert([stored(c, seq) for c in NEIGHBOURS for seq in (1, 2, 3)])
    for conversation in NEIGHBOURS:
        page = await store.page(conversation, 0, 2**53 - 1, 100, newest=False)
        assert seqs_of(page) == [1, 2, 3]
        assert all(f'"{conversation}"'.encode() in document["m"] for document in page)


async def test_last_is_that_of_its_own_conversation(store):
    await store.insert([stored("d:ann:bo", 9), stored("d:ann:bobb", 8), stored("d:ann:bob", 3)])
    assert await store.last("d:ann:bob") == 3
    assert await store.last("d:ann:b") == 0


@pytest.mark.parametrize("newest, expected", [(True, [8, 6]), (False, [2, 4])])
async def test_page_begins_at_the_newest_or_at_the_oldest(store, newest, expected):
    await store.insert([stored("d:ann:bob", seq) for seq in (2, 4, 6, 8)])
    assert seqs_of(await store.page("d:ann:bob", 1, 9, 2, newest=newest)) == expected


async def test_page_includes_both_ends(store):
    await store.insert([stored("d:ann:bob", seq) for seq in range(1, 7)])
    assert seqs_of(await store.page("d:ann:bob", 2, 4, 9, newest=False)) == [2, 3, 4]


async def test_large_page_is_complete(store):
    """More than one round trip of the driver's cursor."""
    await store.insert([stored("d:ann:bob", seq) for seq in range(1, 501)])
    page = await store.page("d:ann:bob", 1, 500, 500, newest=False)
    assert seqs_of(page) == list(range(1, 501))


async def test_newest_messages_of_ranges_are_found_together(store):
    for conversation in NEIGHBOURS:
        await store.insert([stored(conversation, seq) for seq in range(1, 6)])
    await store.insert([stored("d:ann:boc", 6)._replace(type="edit", target=5)])
    asked = [("d:ann:bo", 1, 3), ("d:ann:bob", 2, 2), ("d:ann:bobb", 6, 9), ("d:ann:boc", 1, 9)]
    found = await store.newest_in(asked)
    assert {c: document["_id"]["q"] for c, document in found.items()} == {
        "d:ann:bo": 3,
        "d:ann:bob": 2,
        "d:ann:boc": 5,
    }
    places = [(c, document["_id"]["q"]) for c, document in found.items()]
    assert list(found.values()) == list((await store.documents(places, [*CARRIED, "hid"])).values())
    lasts = await store.lasts([*NEIGHBOURS, "d:ann:none"])
    assert lasts == {**dict.fromkeys(NEIGHBOURS[:3], 5), "d:ann:boc": 6}


async def test_nothing_asked_nothing_found(store):
    assert await store.newest_in([]) == {}
    assert await store.documents([], ["m"]) == {}
    assert await store.by_key([]) == {}


async def test_messages_of_sends_are_found_in_their_conversations_only(store):
    messages = [stored(conversation, 1, client_message_id="c") for conversation in NEIGHBOURS[:2]]
    messages.append(stored(NEIGHBOURS[0], 2, client_message_id="d"))
    await store.insert(messages)
    sends = [(m.conversation_id, m.key) for m in messages]
    asked = [*sends, (NEIGHBOURS[1], messages[2].key), (NEIGHBOURS[2], messages[0].key)]
    assert await store.by_key(asked) == dict(zip(sends, messages, strict=True))
