"""Whoever dies at whichever point: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import httpx
import pytest

from infra.crash import POINTS
from infra.redis.client import open_redis
from tests.builders import forget_redis, settings_for, until
from tests.engines import Engines
from tests.patience import PATIENCE_S
from tests.system.day import SHOWN, opened_day
from tests.system.parts import Part, Parts, opened_parts
from tests.system.people import World, opened_world

pytestmark = [pytest.mark.system, pytest.mark.faults]

IMPATIENT = {
    "RINGPOST_OUTBOX_LEASE_S": "2",
    "RINGPOST_OUTBOX_SCAN_S": "0.3",
    "RINGPOST_WORKER_SESSION_S": "2",
    "RINGPOST_WORKER_COMMIT_S": "0.3",
}
ROUNDS = (
    {"api": "numbered:3", "inbox": "timeline:3"},
    {"api": "numbered:3", "inbox": "ring:2", "push": "pushing:2"},
    {"api": "stored:3", "relay": "adopted", "inbox": "arrivals"},
    {"api": "publishing:2", "relay": "relayed", "push": "pushed:3"},
    {"api": "published:2", "inbox": "committing:2", "push": "committing"},
    {"api": "removing:2", "inbox": "timeline"},
)
"""Who dies where, together. A relay has something to do once an API has died in the same round."""
OF_REVISIONS = (
    {"api": "changed:4"},
    {"inbox": "replacing:2"},
    {"api": "stored:5", "inbox": "timeline:6"},
    {"api": "changed:2", "inbox": "ring:6"},
)
"""The same, while messages are edited and recalled, and own state changes."""
MOSTLY_CHANGES = {
    "send": 4,
    "edit": 8,
    "recall": 4,
    "react": 1,
    "pin": 1,
    "hide": 1,
    "read": 2,
    "settings": 2,
}
OF_CHANGES = ("change-begun", "change-counted")
OF_LEAVES = (*OF_CHANGES, "owner-left")


def test_every_point_is_tried():
    tried = {at.partition(":")[0] for deaths in (*ROUNDS, *OF_REVISIONS) for at in deaths.values()}
    assert tried | set(OF_LEAVES) == set(POINTS)


@pytest.mark.timeout(600)
async def test_deaths_at_every_point_lose_and_repeat_nothing(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        api, _, _, relay = await parts.start("api", "inbox", "push", "relay")
        async with opened_world([api.url], seed=5, users=8) as world:
            for _ in range(3):
                await world.open_group(*world.rng.sample(world.users, 5))
            async with world.devices_running():
                for deaths in ROUNDS:
                    if "relay" in deaths:
                        await relay.kill()
                    await die(parts, world, api, deaths)
                    if "relay" in deaths:
                        (relay,) = await parts.start("relay")
                await world.check_devices()


async def die(parts: Parts, world: World, api: Part, deaths: dict[str, str]) -> None:
    """Send until each of these parts has died at its point."""
    dying = [parts.spawn(name, RINGPOST_DEBUG_CRASH_AT=at) for name, at in deaths.items()]
    await dying[0].ready()
    world.urls[:] = [api.url, dying[0].url]
    async with asyncio.timeout(PATIENCE_S):
        while any(part.alive for part in dying):
            await world.send_all(random.Random(0).choices(world.conversations, k=8))
            await asyncio.sleep(0)
    world.urls[:] = [api.url]


@pytest.mark.timeout(600)
async def test_changes_are_in_effect_once_whoever_dies_and_while_redis_is_emptied(
    engines: Engines, unique: str, tmp_path: Path
) -> None:
    """No recalled text is left, and all devices agree with the API and with the model."""
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        api, *_ = await parts.start("api", "inbox", "push", "relay")
        settings = settings_for(engines, unique)
        async with (
            opened_day([api.url], engines, unique, seed=8) as day,
            open_redis(settings.redis) as client,
        ):
            await day.begin(users=8, devices=2)
            day.life.kinds = MOSTLY_CHANGES
            async with day.devices_running():
                day.bring_the_last_devices()
                await day.life.live(day.life.talks, 20)
                for deaths in OF_REVISIONS:
                    dying = [parts.spawn(name, RINGPOST_DEBUG_CRASH_AT=at) for name, at in deaths.items()]
                    await asyncio.gather(*(part.ready() for part in dying))
                    day.life.urls[:] = [api.url, *(dying[0].url for name in deaths if name == "api")]
                    async with asyncio.timeout(PATIENCE_S):
                        while any(part.alive for part in dying):
                            await day.life.live(day.life.talks, 12)
                            await forget_redis(client, settings)
                    day.life.urls[:] = [api.url]
                assert (await day.differences())[:SHOWN] == []


@pytest.mark.parametrize("point", OF_CHANGES)
async def test_change_of_members_that_died_half_way_is_finished_by_others(
    engines: Engines, unique: str, tmp_path: Path, point: str
) -> None:
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        api, *_ = await parts.start("api", "inbox", "relay")
        (doomed,) = await parts.start("api", RINGPOST_DEBUG_CRASH_AT=point)
        async with opened_world([api.url], seed=6, users=3) as world:
            first, second, third = world.users
            group = await world.open_group(first, second)
            await world.send_all([group])
            with pytest.raises(httpx.TransportError):
                await world.change_members("PUT", group, third, doomed.url)
            await until(lambda: not doomed.alive)
            await world.send_all([group])
            joined = group._replace(members=(first, second, third))
            assert (await world.change_members("PUT", group, third, api.url)).is_success
            await world.send_all([joined])
            await until(lambda: world.pull(third, 100))
            for user in (first, second):
                await world.settled(user)
                world.check_entries(user, await world.pull(user, 100))
            seqs = [entry["message"]["seq"] for entry in await world.pull(third, 100)]
            assert seqs in ([2, 3], [3]), "in from the death or from the repetition on, without a hole"


@pytest.mark.parametrize("point", OF_LEAVES)
async def test_group_whose_owner_leaves_through_a_process_that_dies_gets_an_owner(
    engines: Engines, unique: str, tmp_path: Path, point: str
) -> None:
    async with opened_parts(engines, unique, tmp_path, **IMPATIENT) as parts:
        api, *_ = await parts.start("api")
        (doomed,) = await parts.start("api", RINGPOST_DEBUG_CRASH_AT=point)
        async with opened_world([api.url], seed=7, users=3) as world:
            owner, second, third = world.users
            group = await world.open_group(owner, second, third)
            with pytest.raises(httpx.TransportError):
                await world.change_members("DELETE", group, owner, doomed.url)
            await until(lambda: not doomed.alive)
            heir, other = sorted((second, third))
            for user in (second, third):
                seen = await world.view(user, group)
                assert (seen["owner_id"], seen["members"]) == (heir, [heir, other])
            answer = await world.change_members("DELETE", group._replace(members=(heir,)), other, api.url)
            assert answer.is_success, "the new owner may remove a member"
