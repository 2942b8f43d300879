"""A whole Ringpost on engines with TLS and users, with the rights that the documentation gives, and no more.

The commands are read from docs/security.md. Each part comes as a user of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.dead_letters import DeadLetterTool
from infra.kafka.publisher import Record, open_publisher
from infra.kafka.topics import ARRIVALS, DELIVERIES, DLQ, TOPICS, TopicTool
from infra.mongo.client import open_database
from infra.mongo.indexes import ensure_schema
from infra.mongo.rights import command
from infra.redis.client import open_redis, ping
from infra.settings import KafkaSettings, MongoSettings, RedisSettings, Settings, load_settings
from ringpost.doctor import examine
from ringpost.rights import ALL
from tests.builders import until
from tests.certificates import Authority
from tests.engines import Engines
from tests.grants import documented, kafka_as, run
from tests.patience import PATIENCE_S
from tests.secured import ADMIN, WATCHED, Secured, owned_by_a_thread
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
PARTITIONS = 4
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

NO_API = "http://127.0.0.1:1"


@pytest.fixture(scope="module", autouse=True)
def no_environment() -> Iterator[None]:
    """The addresses of other engines would win over ours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def secured(no_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
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


def settings_of(secured: Secured, part: str, **changes: str) -> Settings:
    """As a process of the part would load them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (secured.environment(part) | IMPATIENT | changes).items():
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
            await errands.change_messages()
            await errands.read_everything()
            await a_right_that_is_missing_for_a_while(secured, errands)
            (dying,) = await start(parts, secured, "api", RINGPOST_DEBUG_CRASH_AT="stored")
            await errands.send_and_see_the_api_die("by the relay", dying.url)
            await errands.until_bob_has("by the relay")
    assert await refusals(secured) == []


async def a_right_that_is_missing_for_a_while(secured: Secured, errands: Errands) -> None:
    """What cannot be written for the want of a right waits, and is no dead letter."""
    assert await refusals(secured) == []
    for name in ("MongoDB rights", "Redis rights"):
        take, _, give = TAKEN[name]
        await run(secured, take)
        await errands.send(name)
        await until(lambda: refusals(secured))
        await run(secured, give)
        await errands.until_bob_has(name)
    await refusals(secured)
    tool = DeadLetterTool(Log(settings_of(secured, "topics").kafka))
    assert [letter async for letter in tool.letters()] == []


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
    findings = await examine(settings_of(secured, part), NO_API, [part])
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
    "Redis rights": ("ACL SETUSER ringpost-inbox -lindex", "+lindex", "ACL SETUSER ringpost-inbox +lindex"),
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
    (bad,) = [one for one in await examine(settings, NO_API, ["inbox"]) if not one.ok]
    assert (bad.name, bad.said) == (name, f"The user ringpost-inbox lacks: {right}. Grant it: {give}")
    await run(secured, give)
    assert all(one.ok for one in await examine(settings, NO_API, ["inbox"]))


async def test_doctor_tells_the_rights_that_lack_for_all_parts(secured: Secured) -> None:
    bad = {
        one.name: one.said for one in await examine(settings_of(secured, "push"), NO_API, ALL) if not one.ok
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


# ------------------------------------------------------------------ ways to connect


def doors(secured: Secured) -> dict[str, KafkaSettings]:
    """Every way by which a client may come to Kafka."""
    files = {"cert_file": str(secured.client.cert), "key_file": str(secured.client.key)}
    clear = {"bootstrap": secured.kafka.door("clear"), "security": "sasl_plaintext", "ca_file": ""}
    nobody = {"sasl_mechanism": "", "password": "", "bootstrap": secured.kafka.door("certified")}
    return {
        "TLS and SCRAM-SHA-512": kafka_as(secured, ADMIN),
        "TLS and PLAIN": kafka_as(secured, ADMIN, sasl_mechanism="PLAIN"),
        "SCRAM-SHA-256": kafka_as(secured, ADMIN, sasl_mechanism="SCRAM-SHA-256", **clear),
        "TLS and a certificate": kafka_as(secured, "", security="ssl", **nobody, **files),
    }


async def test_kafka_is_reached_through_every_door(secured: Secured) -> None:
    for name, settings in doors(secured).items():
        log = Log(settings)
        assert await log.version() == "1 broker(s)", name
        async with open_publisher(log), log.observer() as observer:
            assert len((await observer.bounds(ARRIVALS))[0]) == PARTITIONS, name


async def redis_version(secured: Secured, url: str, **settings: str) -> str:
    made = RedisSettings(url=url, **{"ca_file": str(secured.authority.file)} | settings)
    async with open_redis(made) as client:
        return await ping(client)


def watched(secured: Secured) -> str:
    """The primary by way of Sentinel."""
    url = secured.redis.url_of(ADMIN).replace("rediss://", "rediss+sentinel://")
    return url.replace(f"{secured.redis.address}/0", f"{secured.sentinel.address}/{WATCHED}/0")


async def test_redis_is_reached_over_tls_also_with_a_certificate_and_by_sentinel(secured: Secured) -> None:
    files = {"cert_file": str(secured.client.cert), "key_file": str(secured.client.key)}
    sentinel = {"sentinel_username": ADMIN, "sentinel_password": secured.password}
    assert await redis_version(secured, secured.redis.url_of(ADMIN))
    assert await redis_version(secured, secured.redis.url_of(ADMIN), **files)
    assert await redis_version(secured, watched(secured), **sentinel)
    with pytest.raises(Unavailable):
        await redis_version(secured, watched(secured))


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_mongo_is_reached_over_tls_by_either_driver(secured: Secured, driver: str) -> None:
    async with open_database(MongoSettings(url=secured.mongo.url_of(ADMIN), driver=driver)) as database:
        assert await database.collection_names()


@pytest.mark.parametrize("engine", ["MONGO_URL", "REDIS_URL", "KAFKA_PASSWORD"])
async def test_wrong_password_is_a_sentence_without_the_password(secured: Secured, engine: str) -> None:
    settings = settings_of(secured, "api", **{f"RINGPOST_{engine}": wrong(secured, engine)})
    findings = await examine(settings, NO_API, ["api"])
    said = {one.said for one in findings if not one.ok}
    assert any(f"RINGPOST_{engine}" in one and "refuses the user" in one for one in said)
    assert not any("wrong" in one or secured.password in one for one in said)


def wrong(secured: Secured, engine: str) -> str:
    value = secured.environment("api")[f"RINGPOST_{engine}"]
    return "wrong" if engine == "KAFKA_PASSWORD" else value.replace(quote(secured.password, ""), "wrong")


async def test_authority_that_did_not_sign_is_named_by_the_doctor(secured: Secured, tmp_path: Path) -> None:
    other = str(Authority(tmp_path).file)
    trusted = quote(str(secured.authority.file), "")
    mongo = secured.mongo.url_of("ringpost-api").replace(trusted, quote(other, ""))
    files = {"RINGPOST_KAFKA_CA_FILE": other, "RINGPOST_REDIS_CA_FILE": other, "RINGPOST_MONGO_URL": mongo}
    settings = settings_of(secured, "api", RINGPOST_MONGO_TIMEOUT_S="1", **files)
    said = {one.name: one.said for one in await examine(settings, NO_API, ["api"]) if not one.ok}
    for engine in ("MongoDB", "Kafka", "Redis"):
        assert said[engine].startswith("The certificate of 127.0.0.1:")
