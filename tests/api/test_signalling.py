"""The bounds of signals, where a second lasts as long as the test."""

from __future__ import annotations

import pytest

from api.gateway import signalling
from domain.errors import Forbidden
from infra.redis.client import open_redis
from tests.api.company import at_work, company, say
from tests.builders import (
    ANN,
    BOB,
    CEM,
    mongo_reads,
    open_town,
    opened_without_kafka,
    settings_for,
    until,
)
from tests.patience import FAR_OFF_S


@pytest.fixture
async def town(engines, unique):
    async with opened_without_kafka(
        settings_for(engines, unique, gateway={"heartbeat_s": FAR_OFF_S})
    ) as clients:
        yield await open_town(clients)


@pytest.fixture(autouse=True)
def long_seconds(monkeypatch):
    monkeypatch.setattr(signalling, "EVERY_S", FAR_OFF_S)


def heard(wire) -> list[str]:
    return [frame["signal"] for frame in wire.frames if frame["type"] == "signal"]


async def test_only_the_first_signal_of_a_user_passes_in_a_second_on_whichever_gateway(town):
    """I8. Other users and other conversations are apart."""
    near, far = company(town), company(town)
    group, other = await town.group(ANN, BOB, CEM), await town.group(ANN, BOB)
    async with (
        at_work(near, far),
        near.online(ANN) as (ann, _),
        far.online(ANN) as (ann_far, _),
        near.online(CEM) as (cem, _),
        far.online(BOB) as (_, bobs),
    ):
        await near.signalling.say(ann, say(group, "first"))
        await near.signalling.say(ann, say(group, "too soon"))
        await far.signalling.say(ann_far, say(group, "too soon elsewhere"))
        await near.signalling.say(ann, say(other, "other conversation"))
        await near.signalling.say(cem, say(group, "other user"))
        await until(lambda: len(heard(bobs)) == 3)
        assert heard(bobs) == ["first", "other conversation", "other user"]


async def test_gateway_remembers_no_more_signals_than_it_may(town, monkeypatch):
    """I8: what it forgets is decided by Redis."""
    monkeypatch.setattr(signalling, "PACED", 2)
    near = company(town)
    groups = [await town.group(ANN, BOB) for _ in range(4)]
    async with at_work(near), near.online(ANN) as (ann, _), near.online(BOB) as (_, bobs):
        for _ in range(2):
            for group in groups:
                await near.signalling.say(ann, say(group))
        await until(lambda: len(heard(bobs)) >= len(groups))
        await near.signalling.say(ann, say(await town.group(ANN, BOB), "last"))
        await until(lambda: "last" in heard(bobs))
        assert heard(bobs) == ["typing"] * len(groups) + ["last"]


async def test_signal_in_a_known_conversation_reads_nothing_in_mongodb(town, engines, unique):
    near = company(town)
    group = await town.group(ANN, BOB)
    async with at_work(near), near.online(ANN) as (ann, anns), near.online(BOB) as (bob, bobs):
        await near.signalling.say(ann, say(group))
        await until(lambda: heard(bobs))
        before = mongo_reads(engines.mongo_url, unique)
        await near.signalling.say(bob, say(group))
        await until(lambda: heard(anns))
        read = mongo_reads(engines.mongo_url, unique) - before
    assert not {name: read[name] for name in ("conversations", "members", "users") if read[name]}


async def test_member_list_that_changed_elsewhere_is_read_again(town):
    """The counter of the conversation in Redis says that the list in memory is old."""
    near, far = company(town), company(await open_town(town.clients))
    group = await town.group(ANN, BOB, CEM)
    async with at_work(near), near.online(ANN) as (ann, _), near.online(BOB) as (bob, bobs):
        await near.signalling.say(ann, say(group))
        await until(lambda: heard(bobs))
        await far.town.path.groups.remove(ANN, group, BOB)
        with pytest.raises(Forbidden):
            await near.signalling.say(bob, say(group))


async def test_signal_is_lost_without_redis_and_nobody_is_told(town, engines, unique):
    away = settings_for(engines, unique, redis={"url": "redis://127.0.0.1:1/0", "timeout_s": 0.1})
    group = await town.group(ANN, BOB)
    async with open_redis(away.redis) as redis:
        near = company(town, redis)
        async with near.online(ANN) as (ann, _), near.online(BOB) as (bob, bobs):
            await near.signalling.say(ann, say(group))
            bob.put(b'{"type":"pong"}')
            await until(lambda: bobs.frames)
    assert bobs.frames == [{"type": "pong"}]
