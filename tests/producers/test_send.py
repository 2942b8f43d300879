from __future__ import annotations

import asyncio
import os
import signal

import pymongo
import pytest
from msgspec import Raw

from domain.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from domain.messages import Draft
from infra.local.stack import LocalEngines
from infra.mongo.client import Database, open_database
from infra.mongo.messages import MessageStore
from infra.mongo.rows import Place, is_row, row_of
from infra.redis.client import open_redis
from producers.wiring import send_path
from tests.builders import (
    ANN,
    BOB,
    CEM,
    DEA,
    draft,
    forget_redis,
    mongo_reads,
    open_town,
    opened_without_kafka,
    settings_for,
    until,
)
from tests.producers.submitted import Noting


async def seqs(town, conversation: str) -> list[int]:
    page = await town.stores.messages.page(conversation, 0, 2**53 - 1, 0, newest=False)
    return [document["_id"]["q"] for document in page]


async def test_send_is_in_the_store_when_it_is_answered(town):
    """I1."""
    conversation = await town.direct()
    outcome = await town.send(draft(conversation, text="hi"))
    assert outcome.created
    assert (outcome.sent.message_id, outcome.sent.seq) == (f"{conversation}:1", 1)
    stored = await town.stores.messages.documents([(conversation, 1)], ["m"])
    assert b'"text": "hi"' in stored[conversation, 1]["m"]


class Held(MessageStore):
    """The real store, which can be held up, and fall silent after it has done its work."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.silent = False

    async def insert(self, messages, row=None):
        self.asked.set()
        await self.go.wait()
        refused = await super().insert(messages, row)
        if self.silent:
            raise Unavailable("no answer")
        return refused


@pytest.fixture
async def held(town, monkeypatch):
    """A send path over such a store."""
    held = Held(town.clients.database)
    monkeypatch.setattr("producers.wiring.MessageStore", lambda _: held)
    monkeypatch.setattr("producers.wiring.Spreader", Noting)
    return held, await send_path(town.clients)


async def test_send_is_neither_answered_nor_spread_before_the_store_has_it(town, held):
    """I1."""
    conversation = await town.direct()
    store, path = held
    sending = asyncio.create_task(path.sender.send(draft(conversation)))
    await store.asked.wait()
    await asyncio.wait([sending], timeout=0.2)
    assert not sending.done()
    assert path.spreader.submitted == []
    store.go.set()
    assert (await sending).created
    assert await seqs(town, conversation) == [1]
    assert len(path.spreader.submitted) == 1


async def test_outbox_row_stands_before_its_messages_in_the_log_of_the_replica_set(town, unique):
    """So whatever cuts the log, no message is there without the row that announces it."""
    conversation = await town.direct()
    await asyncio.gather(*(town.send(draft(conversation)) for _ in range(3)))
    with pymongo.MongoClient(town.clients.settings.mongo.url) as client:
        ours = {"ns": f"{unique}.messages", "op": "i"}
        log = [entry["o"] for entry in client["local"]["oplog.rs"].find(ours).sort("$natural", 1)]
    announced: set[Place] = set()
    for document in log:
        if is_row(document):
            announced.update(row_of(document).places)
        else:
            assert (document["_id"]["c"], document["_id"]["q"]) in announced
    assert announced == {(conversation, seq) for seq in (1, 2, 3)}


async def test_what_the_store_took_without_answering_is_left_to_the_relay(town, held):
    """The sender is told to come back, and may not: the message is there all the same."""
    conversation = await town.direct()
    store, path = held
    store.silent = True
    store.go.set()
    with pytest.raises(Unavailable):
        await path.sender.send(draft(conversation))
    await path.barrier.step()
    assert [row.places for row in await town.stores.outbox.adopt("~relay", 9, 99)] == [[(conversation, 1)]]


@pytest.mark.own_engines
async def test_sends_to_a_store_that_does_not_answer_leave_nothing_behind(engines, unique, tmp_path):
    """I8. An outage lasts for hours, and clients go on sending."""
    async with LocalEngines(tmp_path, which=("mongo",)) as local:
        servers = engines._replace(mongo_url=local.url("mongo"))
        async with opened_without_kafka(settings_for(servers, unique, mongo={"timeout_s": 1})) as clients:
            town = await open_town(clients)
            conversation = await town.direct()
            await town.send(draft(conversation))

            async def is_refused() -> bool:
                try:
                    await town.send(draft(conversation))
                except Unavailable as error:
                    return error.nothing_done
                return False

            os.kill(local.pid("mongo"), signal.SIGSTOP)
            try:
                await until(is_refused)  # the first ones may have been done
                for _ in range(1_000):
                    assert await is_refused()
            finally:
                os.kill(local.pid("mongo"), signal.SIGCONT)
            await until(lambda: answers(town, conversation))
            await until(lambda: handed_over(town))
            assert await town.stores.outbox.count() < 100


async def answers(town, conversation: str) -> bool:
    try:
        return (await town.send(draft(conversation))).created
    except Unavailable:
        return False


async def handed_over(town) -> bool:
    """What was given up is in the store."""
    try:
        await town.path.lease.look_after()
    except Unavailable:
        return False
    return True


async def test_outbox_row_is_there_before_the_answer(town):
    """A crash right after the answer loses nothing: the relay finds the row."""
    await town.send(draft(await town.direct()))
    assert await town.stores.outbox.count() == 1


async def test_without_the_store_a_send_fails_and_leaves_nothing(town, engines, unique):
    """I1, I7."""
    conversation = await town.direct()
    await town.send(draft(conversation))
    away = settings_for(
        engines, unique, mongo={"url": "mongodb://127.0.0.1:1/?directConnection=true", "timeout_s": 0.2}
    )
    async with open_database(away.mongo) as database:
        with pytest.raises(Unavailable):
            await send_path(town.clients._replace(settings=away, database=database))
    assert await seqs(town, conversation) == [1]


async def test_one_send_fifty_times_at_once_is_one_message(town):
    """I6: the same answer for all, and one of them made it."""
    conversation = await town.direct()
    same = [draft(conversation, client_message_id="once") for _ in range(50)]
    outcomes = await asyncio.gather(*map(town.send, same))
    assert len({outcome.sent for outcome in outcomes}) == 1
    assert [outcome.created for outcome in outcomes].count(True) == 1
    assert await seqs(town, conversation) == [outcomes[0].sent.seq]


async def test_many_repetitions_cost_one_read_for_all_of_a_commit(town, engines, unique):
    """I8: clients repeat themselves in an overload; a read for each would make it last."""
    sends = [draft(await town.direct(), client_message_id=f"c{n}") for n in range(100)]
    first = await asyncio.gather(*map(town.send, sends))
    before = mongo_reads(engines.mongo_url, unique)
    again = await asyncio.gather(*map(town.send, sends))
    assert [one.sent for one in again] == [one.sent for one in first]
    assert not any(one.created for one in again)
    assert (mongo_reads(engines.mongo_url, unique) - before)["messages"] <= 4


async def test_one_send_through_many_processes_is_one_message(town):
    """I6."""
    conversation = await town.direct()
    paths = [await send_path(town.clients) for _ in range(4)]
    sends = [path.sender.send(draft(conversation, client_message_id="once")) for path in paths * 5]
    outcomes = await asyncio.gather(*sends)
    assert len({outcome.sent for outcome in outcomes}) == 1
    assert len(await seqs(town, conversation)) == 1


async def test_repetition_written_another_way_is_the_same_send(town):
    """I6: order of fields and white space are not content."""
    conversation = await town.direct()
    bodies = b'{"a":1,"b":[2]}', b'{ "b": [2], "a": 1 }'
    first, again = [await town.send(Draft(conversation, ANN, "c", "custom", Raw(body))) for body in bodies]
    assert (first.sent, again.created) == (again.sent, False)


async def test_same_client_message_id_with_another_body_is_a_conflict(town):
    """I6."""
    conversation = await town.direct()
    first = await town.send(draft(conversation, text="a", client_message_id="c"))
    with pytest.raises(Conflict) as refused:
        await town.send(draft(conversation, text="b", client_message_id="c"))
    assert refused.value.field == "client_message_id"
    assert (await town.send(draft(conversation, text="a", client_message_id="c"))).sent == first.sent
    assert await seqs(town, conversation) == [1]


async def test_concurrent_sends_get_numbers_of_their_own(town):
    conversation = await town.direct()
    outcomes = await asyncio.gather(*(town.send(draft(conversation)) for _ in range(200)))
    assert sorted(outcome.sent.seq for outcome in outcomes) == list(range(1, 201))


async def test_lost_counter_is_restored_without_double_or_failed_send(town):
    """I7: Redis is emptied between two sends."""
    conversation = await town.direct()
    for _ in range(3):
        await town.send(draft(conversation))
    await forget_redis(town.clients.redis, town.clients.settings)
    assert (await town.send(draft(conversation))).sent.seq == 4


async def test_counter_that_is_lost_again_and_again_fails_no_send(town):
    """I7: under concurrent sends of two processes."""
    conversation = await town.direct()
    other = await send_path(town.clients)
    losing = asyncio.create_task(_lose(town, town.stores.keys.counter(conversation)))
    sends = []
    for _ in range(40):
        sends += [town.path.sender.send(draft(conversation)), other.sender.send(draft(conversation))]
    outcomes = await asyncio.gather(*sends)
    losing.cancel()
    numbers = [outcome.sent.seq for outcome in outcomes]
    assert len(set(numbers)) == 80
    assert await seqs(town, conversation) == sorted(numbers)


async def _lose(town, key: str) -> None:
    for _ in range(4):
        await town.clients.redis.delete(key)
        await asyncio.sleep(0.01)


async def test_counter_set_back_is_corrected_by_the_store(town):
    """I7: a Redis that came back with yesterday's data hands out numbers that are taken."""
    conversation = await town.direct()
    for _ in range(5):
        await town.send(draft(conversation))
    await town.clients.redis.hset(town.stores.keys.counter(conversation), "q", 2)
    outcomes = await asyncio.gather(*(town.send(draft(conversation)) for _ in range(10)))
    assert {outcome.created for outcome in outcomes} == {True}
    numbers = sorted(outcome.sent.seq for outcome in outcomes)
    assert len(set(numbers)) == 10
    assert await seqs(town, conversation) == [1, 2, 3, 4, 5, *(n for n in numbers if n > 5)]


async def test_repetition_after_the_counter_was_lost_gives_the_first_answer(town):
    """I6."""
    conversation = await town.direct()
    first = await town.send(draft(conversation, client_message_id="c"))
    await forget_redis(town.clients.redis, town.clients.settings)
    again = await town.send(draft(conversation, client_message_id="c"))
    assert (again.sent, again.created) == (first.sent, False)


async def test_without_redis_sends_succeed(town, engines, unique):
    """I7: numbers then come from the store."""
    conversation = await town.direct()
    await town.send(draft(conversation))
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.2})
    async with open_redis(away.redis) as client:
        path = await send_path(town.clients._replace(settings=away, redis=client))
        outcomes = await asyncio.gather(*(path.sender.send(draft(conversation)) for _ in range(5)))
    assert len({outcome.sent.seq for outcome in outcomes}) == 5
    assert (await town.send(draft(conversation))).created


async def test_change_of_members_without_redis_is_refused_and_holds_up_no_send(town, engines, unique):
    """A change that cannot be numbered is not begun: a group with a pending one takes no messages."""
    group = await town.group(ANN, BOB)
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.2})
    async with open_redis(away.redis) as client:
        path = await send_path(town.clients._replace(settings=away, redis=client))
        with pytest.raises(Unavailable):
            await path.groups.add(ANN, group, CEM)
        assert (await path.sender.send(draft(group))).created
    assert set((await path.membership.newest(group)).by_user) == {ANN, BOB}


async def test_send_that_takes_too_long_is_unavailable(town, held):
    """A deadline, not a hang."""
    conversation = await town.direct()
    settings = town.clients.settings.send
    town.clients.settings.send = settings.model_copy(update={"deadline_s": 0.05})
    path = await send_path(town.clients)
    with pytest.raises(Unavailable, match="in time"):
        await path.sender.send(draft(conversation))
    held[0].go.set()
    await until(lambda: path.spreader.submitted)


async def test_outsider_is_refused_and_uses_up_no_number(town):
    group = await town.group(ANN, BOB)
    with pytest.raises(Forbidden):
        await town.send(draft(group, CEM))
    assert (await town.send(draft(group))).sent.seq == 1


async def test_direct_conversation_of_others_is_nobodys_business(town):
    conversation = await town.direct(ANN, BOB)
    for name in (conversation, "d:ann:dea"):
        with pytest.raises(Forbidden):
            await town.send(draft(name, CEM))


async def test_unknown_conversation_is_not_found(town):
    with pytest.raises(NotFound):
        await town.send(draft("g:zzzzzzzzzzzzzzzz"))
    with pytest.raises(BadRequest):
        await town.send(draft(""))


async def test_users_cannot_send_system_messages(town):
    conversation = await town.direct()
    with pytest.raises(Forbidden) as refused:
        await town.send(Draft(conversation, ANN, "c", "system", Raw(b"{}")))
    assert refused.value.field == "kind"


async def test_send_to_a_user_opens_the_conversation(town):
    outcome = await town.path.sender.send(draft("", DEA), to=CEM)
    assert outcome.sent.conversation_id == "d:cem:dea"
    with pytest.raises(NotFound):
        await town.path.sender.send(draft("", DEA), to="nobody")


async def test_bad_send_does_not_hurt_those_beside_it(town):
    group, conversation = await town.group(ANN, BOB), await town.direct()
    await town.send(draft(conversation, client_message_id="c"))
    results = await asyncio.gather(
        town.send(draft(conversation)),
        town.send(draft(group, CEM)),
        town.send(draft(conversation, text="other", client_message_id="c")),
        town.send(draft(group)),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["Outcome", "Forbidden", "Conflict", "Outcome"]
