"""What watching gateways find out by themselves, and what they bear."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from api.gateway import last_seen, watches
from api.gateway.register import Turn
from domain.errors import Unavailable
from infra.redis.client import open_redis
from infra.redis.presence import Online, Presence
from tests.api.company import at_work, company
from tests.builders import (
    ANN,
    BOB,
    CEM,
    DEA,
    forget_redis,
    open_town,
    opened_without_kafka,
    running,
    settings_for,
    until,
)
from tests.clusters import redis_pair
from tests.patience import FAR_OFF_S

TTL_S = 2.0
OFFLINE, ONLINE = {"user_id": BOB, "online": False}, {"user_id": BOB, "online": True}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watches, "TELL_EVERY_S", 0.05)
    monkeypatch.setattr(last_seen, "WRITE_EVERY_S", 0.05)


@pytest.fixture
async def town(engines, unique):
    gateway = {"heartbeat_s": FAR_OFF_S, "presence_ttl_s": TTL_S}
    async with opened_without_kafka(settings_for(engines, unique, gateway=gateway)) as clients:
        yield await open_town(clients)


@pytest.fixture
async def patient(engines, unique):
    """A town where nothing is looked for by the way."""
    gateway = {"heartbeat_s": FAR_OFF_S, "presence_ttl_s": FAR_OFF_S}
    async with opened_without_kafka(settings_for(engines, unique, gateway=gateway)) as clients:
        yield await open_town(clients)


def told(wire) -> list[dict[str, Any]]:
    return [user for frame in wire.frames if frame["type"] == "presence" for user in frame["users"]]


async def silently(town, here: bool) -> None:
    """As an older gateway does, or when news is lost: Bob comes, or goes."""
    stores = town.stores
    presence = Presence(stores.redis, stores.keys, FAR_OFF_S)
    await presence.write("older", [(Online(BOB, "web", "s"), here)])


async def test_coming_of_which_no_news_was_heard_is_found(town):
    near = company(town)
    async with at_work(near), near.online(ANN) as (ann, anns):
        await near.watches.watch(ann, [BOB])
        await silently(town, True)
        await until(lambda: told(anns) == [OFFLINE, ONLINE])


async def test_presence_that_ends_by_itself_is_found_when_it_ends(town):
    stores = town.stores
    await Presence(stores.redis, stores.keys, 0.5).write("dead", [(Online(BOB, "web", "s"), True)])
    near = company(town)
    async with at_work(near), near.online(ANN) as (ann, anns):
        await near.watches.watch(ann, [BOB])
        await until(lambda: len(told(anns)) == 2)
        online, gone = told(anns)
        assert online == ONLINE
        assert gone["online"] is False

        async def written() -> Any:
            return (await stores.accounts.regards([BOB]))[BOB].seen_at_ms

        await until(written)
        assert "last_seen" in gone


async def test_gateway_that_watches_stays_among_the_watchers(town):
    near, presence = company(town), Presence(town.stores.redis, town.stores.keys, TTL_S)
    async with at_work(near), near.online(ANN) as (ann, _):
        await near.watches.watch(ann, [BOB])
        key = town.stores.keys.watchers(BOB)
        first = await town.stores.redis.zscore(key, near.hub.gateway_id)

        async def renewed() -> bool:
            return await town.stores.redis.zscore(key, near.hub.gateway_id) > first

        await until(renewed)
        assert await presence.concerned(BOB) == [near.hub.gateway_id]


async def test_changes_are_told_together_and_not_more_often_than_they_may(patient, monkeypatch):
    monkeypatch.setattr(watches, "TELL_EVERY_S", every_s := 0.5)
    near, far = company(patient), company(patient)
    async with at_work(near, far), near.online(ANN) as (ann, anns):
        await near.watches.watch(ann, [BOB, CEM])
        began = time.monotonic()
        for _ in range(20):
            async with far.online(BOB), far.online(CEM):
                pass
        async with far.online(BOB), far.online(CEM):
            await until(lambda: sum(user["online"] for user in _last_of_each(anns).values()) == 2)
        took_s = time.monotonic() - began
    answer, *news = [frame for frame in anns.frames if frame["type"] == "presence"]
    assert len(answer["users"]) == 2
    assert 1 <= len(news) <= 1 + took_s / every_s


def _last_of_each(wire) -> dict[str, Any]:
    return {user["user_id"]: user for user in told(wire)}


async def test_after_a_subscription_everybody_is_looked_at_again(patient):
    """News before it may be lost, also that of a choice."""
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, anns):
        await silently(patient, True)
        await near.watches.watch(ann, [BOB])
        await patient.stores.accounts.choose_audience(BOB, "nobody")
        near.watches.subscribed()
        await until(lambda: told(anns) == [ONLINE, OFFLINE])


async def test_presence_survives_a_flush_of_redis(patient, engines, unique):
    near, far = company(patient), company(patient)
    async with at_work(near, far), near.online(ANN) as (ann, anns), far.online(BOB) as (bob, _):
        await near.watches.watch(ann, [BOB])
        await forget_redis(patient.stores.redis, patient.stores.settings)
        presence = Presence(patient.stores.redis, patient.stores.keys, FAR_OFF_S)

        async def restored() -> bool:
            return near.hub.gateway_id in await presence.concerned(BOB)

        await until(restored)
        far.hub.leave(bob)
        await until(lambda: told(anns)[-1].keys() == {"user_id", "online", "last_seen"})


async def test_device_that_is_behind_gets_the_news_when_it_reads_again(patient):
    """I8: it is not closed for what may be lost, and the state is not lost."""
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, anns), near.online(CEM) as (cem, cems):
        for session in (ann, cem):
            await near.watches.watch(session, [BOB])
        await until(lambda: told(anns) == told(cems) == [OFFLINE])
        anns.reading.clear()
        async with near.online(BOB):
            await until(lambda: told(cems) == [OFFLINE, ONLINE])
            assert told(anns) == [OFFLINE]
            anns.reading.set()
            await until(lambda: told(anns) == [OFFLINE, ONLINE])


async def test_watch_is_refused_while_redis_is_away_and_answered_when_it_is_back(patient, engines, unique):
    async with redis_pair() as pair:
        settings = settings_for(engines, unique, redis={"url": pair.primary.server.url, "timeout_s": 0.2})
        async with open_redis(settings.redis) as redis:
            near = company(patient, redis)
            async with running(near.hub, near.watches), near.online(ANN) as (ann, anns):
                pair.primary.pause()
                with pytest.raises(Unavailable):
                    await near.watches.watch(ann, [BOB])
                assert told(anns) == []
                pair.primary.go_on()
                await until(lambda: told(anns) == [OFFLINE])


async def test_device_that_watches_anew_again_and_again_is_slowed_down(patient, monkeypatch):
    """I8. Others are not."""
    monkeypatch.setattr(watches, "WATCH_EVERY_S", FAR_OFF_S)
    monkeypatch.setattr(watches, "WATCH_BURST_S", 3 * FAR_OFF_S)
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, anns), near.online(CEM) as (cem, cems):
        for _ in range(5):
            await near.watches.watch(ann, [BOB])
        await near.watches.watch(cem, [BOB])
        await until(lambda: told(cems))
        assert told(anns) == [OFFLINE] * 3


async def test_of_what_a_device_watches_too_early_the_last_counts(patient, monkeypatch):
    """And it reads on meanwhile: what else it says does not wait."""
    monkeypatch.setattr(watches, "WATCH_BURST_S", watches.WATCH_EVERY_S)
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, anns), near.online(CEM):
        await near.watches.watch(ann, [BOB])
        await near.watches.watch(ann, [BOB, CEM])
        await near.watches.watch(ann, [CEM])
        await until(lambda: told(anns) == [OFFLINE, {"user_id": CEM, "online": True}], 15)


async def test_answers_come_in_the_order_of_what_a_device_watches(patient, monkeypatch):
    monkeypatch.setattr(watches, "WATCH_EVERY_S", 0.05)
    monkeypatch.setattr(watches, "WATCH_BURST_S", 0.05)
    asked, go_on, look = asyncio.Event(), asyncio.Event(), Presence.watch

    async def slow(presence, gateway, users):
        if CEM in users:
            asked.set()
            await go_on.wait()
        return await look(presence, gateway, users)

    monkeypatch.setattr(Presence, "watch", slow)
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, anns):
        await near.watches.watch(ann, [BOB])
        await near.watches.watch(ann, [CEM])
        await asked.wait()
        monkeypatch.setattr(watches, "WATCH_EVERY_S", 0.0)
        third = asyncio.create_task(near.watches.watch(ann, [DEA]))
        await asyncio.sleep(0)
        go_on.set()
        await third
        await until(lambda: [one["user_id"] for one in told(anns)] == [BOB, CEM, DEA], 15)


async def test_session_that_ended_watches_nobody(patient):
    near = company(patient)
    async with at_work(near), near.online(ANN) as (ann, _):
        near.hub.leave(ann)
        ann.ended()
        await near.watches.watch(ann, [BOB])
        presence = Presence(patient.stores.redis, patient.stores.keys, FAR_OFF_S)
        assert await presence.concerned(BOB) == []


async def test_time_of_one_who_came_back_before_the_write_is_not_written(patient):
    writer = last_seen.LastSeen(patient.stores.accounts)
    writer.turned([Turn(ANN, False, 1, ()), Turn(BOB, False, 2, ())])
    writer.turned([Turn(ANN, True, 3, ())])
    writer.stop()
    await writer.run()
    seen = await patient.stores.accounts.regards([ANN, BOB])
    assert {user: one.seen_at_ms for user, one in seen.items()} == {ANN: None, BOB: 2}


async def test_times_that_wait_at_the_end_are_written_and_no_more_than_may_wait(patient, monkeypatch):
    """I8."""
    monkeypatch.setattr(last_seen, "MOST_WAITING", 2)
    monkeypatch.setattr(last_seen, "WRITTEN_AT_ONCE", 1)
    writer = last_seen.LastSeen(patient.stores.accounts)
    for at_ms, user in enumerate((ANN, BOB, CEM, ANN), start=1):
        writer.went(user, at_ms)
    writer.stop()
    await writer.run()
    seen = await patient.stores.accounts.regards([ANN, BOB, CEM])
    assert {user: one.seen_at_ms for user, one in seen.items()} == {ANN: 4, BOB: 2, CEM: None}
