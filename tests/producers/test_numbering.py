"""Numbers while Redis is away, and when it is back: unique, ascending, and no send fails for them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

from domain.errors import Unavailable
from infra.redis.client import open_redis
from infra.redis.sequence import Numbers
from producers.numbering import Numbering
from producers.wiring import Clients, send_path
from tests.builders import (
    ANN,
    BOB,
    CEM,
    Stores,
    draft,
    open_town,
    opened_without_kafka,
    settings_for,
    stores_on,
    until,
)
from tests.clusters import redis_pair

PROCESSES = 8
SENDS = 25


@asynccontextmanager
async def without_redis(town, engines, unique):
    """The clients of the town as a process has them that does not reach Redis."""
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.2})
    async with open_redis(away.redis) as client:
        yield town.clients._replace(settings=away, redis=client)


def numbering_of(clients: Clients) -> Numbering:
    stores = stores_on(clients)
    return Numbering(stores.sequence, stores.messages, stores.conversations)


async def test_processes_without_redis_that_send_to_one_group_fail_no_send(town, engines, unique):
    """I7. The store takes each number once, so the others must find new ones fast enough."""
    group = await town.group(ANN, BOB)
    async with AsyncExitStack() as opened:
        paths = [
            await send_path(await opened.enter_async_context(without_redis(town, engines, unique)))
            for _ in range(PROCESSES)
        ]

        async def talk(path) -> list[int]:
            return [(await path.sender.send(draft(group))).sent.seq for _ in range(SENDS)]

        seqs = await asyncio.gather(*(talk(path) for path in paths for _ in range(2)))
    assert all(some == sorted(some) for some in seqs), "a later send has a higher number"
    assert len({seq for some in seqs for seq in some}) == 2 * PROCESSES * SENDS


async def test_numbers_without_redis_are_consecutive_and_none_is_handed_out_twice(town, engines, unique):
    group, direct = await town.group(ANN, BOB), await town.direct()
    await town.send(draft(group))
    async with without_redis(town, engines, unique) as clients:
        numbering = numbering_of(clients)
        assert [one.first for one in await numbering.take([(group, 3), (direct, 2)])] == [2, 1]
        assert [one.first for one in await numbering.take([(direct, 1), (group, 1)])] == [3, 5]


async def test_numbers_without_redis_are_those_of_the_newest_members(town, engines, unique):
    """A message numbered after a change was answered sees that change."""
    group = await town.group(ANN, BOB)
    async with without_redis(town, engines, unique) as clients:
        numbering = numbering_of(clients)
        await numbering.take([(group, 1)])
        await town.path.groups.add(ANN, group, CEM)
        (numbers,) = await numbering.take([(group, 1)])
    members = await town.path.membership.at(group, numbers.version)
    assert members.holds(CEM, numbers.first)


async def test_numbers_rise_when_redis_is_back_with_what_it_had(engines, unique):
    """Its counter is behind, and a number was left out meanwhile: it must not be handed out later."""
    async with redis_pair() as pair:
        redis = {"url": pair.primary.server.url, "timeout_s": 1}
        async with opened_without_kafka(settings_for(engines, unique, redis=redis)) as clients:
            town = await open_town(clients)
            direct = await town.direct()
            await town.send(draft(direct, client_message_id="first"))
            pair.primary.pause()
            assert await heads_of(town.stores, direct) == [], "known to be away: it gets no more commands"
            _, second = await asyncio.gather(
                town.send(draft(direct, client_message_id="first")), town.send(draft(direct))
            )
            assert second.sent.seq == 3, "2 is left out"
            pair.primary.go_on()

            await until(lambda: heads_of(town.stores, direct))
            assert (await town.send(draft(direct))).sent.seq == 4


async def heads_of(stores: Stores, conversation: str) -> list[Numbers | None]:
    """Where the counter stands. Nothing if Redis does not answer."""
    try:
        return await stores.sequence.take([(conversation, 0)])
    except Unavailable:
        return []
