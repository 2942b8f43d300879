"""A whole Ringpost on engines with TLS and users, with the rights that the documentation gives, and no more.

The commands are read from docs/security.md. Each part comes as a user of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.kafka.clients import Log
from infra.kafka.dead_letters import DeadLetterTool
from infra.kafka.publisher import Record, open_publisher
from infra.kafka.topics import DELIVERIES, DLQ, TOPICS, TopicTool
from infra.mongo.client import open_database
from infra.mongo.indexes import ensure_schema
from infra.mongo.rights import command
from infra.settings import Settings, load_settings
from ringpost.doctor import examine
from ringpost.parts import Places
from ringpost.rights import ALL
from tests.engines import Engines
from tests.grants import documented, run
from tests.patience import PATIENCE_S
from tests.secured import Secured, owned_by_a_thread
from tests.system.errands import Errands
from tests.system.parts import Parts, opened_parts

pytestmark = [pytest.mark.system, pytest.mark.own_engines]

HEADINGS = {
    "api": "`ringpost api`",
    "inbox": "`ringpost worker inbox`",
    "push": "`ringpost worker push`",
    "relay": "`ringpost worker relay`",
    "topics": "`ringpost topics`",
}
IMPATIENT = {
    "RINGPOST_OUTBOX_LEASE_S": "2",
    "RINGPOST_OUTBOX_SCAN_S": "0.3",
    "RINGPOST_KAFKA_PARTITIONS": "4",
}
NAMES = {
    "RINGPOST_MONGO_DATABASE": "ringpost",
    "RINGPOST_KAFKA_TOPIC_PREFIX": "",
    "RINGPOST_REDIS_KEY_PREFIX": "rp:",
}
"""The defaults, for which the documentation has its commands."""

NOWHERE = Engines("mongodb://127.0.0.1:1", "127.0.0.1:1", "redis://127.0.0.1:1/0")
"""Each part is told its own addresses."""

NO_PLACES = Places("http://127.0.0.1:1", [])


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Every user has exactly the rights of its part; topics, collections and indexes are there."""
    with owned_by_a_thread(tmp_path_factory.mktemp("secured")) as secured:
        asyncio.run(set_up(secured))
        yield secured


async def set_up(secured: Secured) -> None:
    for heading in HEADINGS.values():
        await run(secured, *documented(heading))
    make_role, grant, take_back, *_ = documented("Who creates what is missing")
    await run(secured, make_role, grant)
    async with open_database(settings_of(secured, "api").mongo) as database:
        await ensure_schema(database)
    await run(secured, take_back)
    created = await TopicTool(Log(settings_of(secured, "topics").kafka)).create()
    assert set(created) == {topic.name for topic in TOPICS}
    await refusals(secured)  # those from before there was anybody


def settings_of(secured: Secured, part: str) -> Settings:
    """As a process of the part would load them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
            patch.delenv(name)
        for name, value in (secured.environment(part) | IMPATIENT).items():
            patch.setenv(name, value)
        return load_settings()


async def start(parts: Parts, secured: Secured, *names: str, **settings: str) -> Any:
    """Each part as its own user."""
    own = {name: secured.environment(name) | settings for name in names}
    spawned = [parts.spawn(name, **own[name]) for name in names]
    await asyncio.gather(*(part.ready() for part in spawned))
    return spawned


async def test_whole_ringpost_needs_the_documented_rights_only(secured: Secured, tmp_path: Path) -> None:
    async with opened_parts(NOWHERE, "", tmp_path, short_lived=True, **IMPATIENT, **NAMES) as parts:
        api, other, *_ = await start(parts, secured, "api", "api", "inbox", "push", "relay")
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            errands = Errands(client, api.url)
            await errands.meet()
            await errands.talk_live(other.url)
            await errands.change_a_group()
            await errands.read_everything()
            (dying,) = await start(parts, secured, "api", RINGPOST_DEBUG_CRASH_AT="stored")
            await errands.send_and_see_the_api_die("by the relay", dying.url)
            await errands.until_bob_has("by the relay")
    assert await refusals(secured) == []


async def test_dead_letters_need_the_documented_rights_only(secured: Secured) -> None:
    """Also the topics tool: what it lists, describes, puts back and removes."""
    inbox, topics = Log(settings_of(secured, "inbox").kafka), Log(settings_of(secured, "topics").kafka)
    async with open_publisher(inbox) as publisher:
        letter = Record(DELIVERIES + DLQ, 0, b"0", b"no delivery", [("error", b"poison")])
        await (await publisher.enqueue([letter])).confirmed()
    tool = DeadLetterTool(topics)
    assert [letter.value async for letter in tool.letters()] == [b"no delivery"]
    assert await tool.replay(DELIVERIES) == 1
    assert [letter async for letter in tool.letters()] == []
    assert len(await TopicTool(topics).describe()) == len(TOPICS)
    assert await refusals(secured) == []


@pytest.mark.parametrize("part", ["api", "inbox", "push", "relay"])
async def test_doctor_is_content_with_the_rights_of_a_part(secured: Secured, part: str) -> None:
    findings = await examine(settings_of(secured, part), NO_PLACES, [part])
    assert [str(one) for one in findings if not one.ok] == []
    assert await refusals(secured) == []


TIMELINES = [{"resource": {"db": "ringpost", "collection": "timelines"}, "actions": ["insert"]}]
WRITE = "--allow-principal User:ringpost-inbox --operation Write --topic arrivals"
TAKEN = {
    "MongoDB rights": (
        command("revokePrivilegesFromRole", "ringpost-inbox", TIMELINES),
        "insert on timelines",
        command("grantPrivilegesToRole", "ringpost-inbox", TIMELINES),
    ),
    "Redis rights": ("ACL SETUSER ringpost-inbox -rpush", "+rpush", "ACL SETUSER ringpost-inbox +rpush"),
    "Kafka rights": (
        f"kafka-acls.sh $ADMIN --remove {WRITE}",
        "Write topic arrivals",
        f"kafka-acls.sh $ADMIN --add {WRITE}",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_doctor_says_which_right_is_missing_and_the_command_that_gives_it(
    secured: Secured, name: str
) -> None:
    take, right, give = TAKEN[name]
    settings = settings_of(secured, "inbox")
    await run(secured, take)
    (bad,) = [one for one in await examine(settings, NO_PLACES, ["inbox"]) if not one.ok]
    assert (bad.name, bad.said) == (name, f"The user ringpost-inbox lacks: {right}. Grant it: {give}")
    await run(secured, give)
    assert all(one.ok for one in await examine(settings, NO_PLACES, ["inbox"]))


async def test_doctor_tells_the_rights_that_lack_for_all_parts(secured: Secured) -> None:
    bad = {
        one.name: one.said
        for one in await examine(settings_of(secured, "push"), NO_PLACES, ALL)
        if not one.ok
    }
    assert set(bad) == {"MongoDB rights", "Redis rights", "Kafka rights"}
    assert "insert on timelines" in bad["MongoDB rights"]
    assert "~rp:{c:*" in bad["Redis rights"]
    assert "Read group inbox" in bad["Kafka rights"]


async def refusals(secured: Secured) -> list[str]:
    """What any engine refused to any user since the last look, by its own log."""
    client = secured.redis.admin()
    try:
        by_redis = [f"{one['username']}: {one['object']}" for one in await client.acl_log()]
        await client.acl_log_reset()
    finally:
        await client.aclose()
    return by_redis + secured.kafka.denied() + secured.mongo.denied()
