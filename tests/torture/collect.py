"""Reads what the stores hold into facts, past the product's own code where that is what is checked."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from typing import Any

import pymongo
import redis

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.dead_letters import DeadLetterTool
from infra.kafka.topics import TopicTool
from infra.mongo.rows import ROWS, id_of, is_row
from infra.settings import Settings
from tests.texts import tokens_in
from tests.torture.facts import FOR_EVER, Facts, Got, Pulled, Row, StoredChange, StoredMessage, digest
from tests.torture.town import Answer, NoAnswer, Town
from tests.torture.wire import carried, decode_page, got, name_of

PAGES = (7, 50, 200)
TRIES = 4
PATIENCE_S = 15.0
REGISTERS = ("e", "x", "a", "p", "n", "hid")
"""The fields of a message's document that have what changed it."""

_seq = struct.Struct(">Q")
HEADER_BYTES = 12
"""Of a ring's element: the seq, and the generation of the data."""


def read_store(settings: Settings, facts: Facts) -> None:
    """Messages and changes, timelines, windows of members, outbox."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongo.url) as client:
        database = client[settings.mongo.database]
        facts.messages, facts.changes, facts.untold = {}, {}, 0
        for row in database["messages"].find():
            place = (row["_id"]["c"], row["_id"]["q"])
            if is_row(row):
                continue
            if "t" in row:
                facts.changes[place] = _change(row)
            else:
                facts.messages[place] = _stored(row)
                facts.untold += "ad" in row
        facts.timelines = {}
        for row in database["timelines"].find().sort("_id", 1):
            line = (row["_id"]["s"], (row["c"], row["q"]))
            facts.timelines.setdefault(row["_id"]["u"], []).append(line)
        facts.windows = {}
        for row in database["members"].find():
            facts.windows.setdefault(row["_id"]["c"], {})[row["_id"]["u"]] = [stay(*w) for w in row["w"]]
        facts.outbox = [
            Row(str(id_of(row)), tuple((c, q) for c, q in row["r"]))
            for row in database["messages"].find({"_id": ROWS})
        ]


def stay(low: int, high: int | None) -> tuple[int, int]:
    """First seq and the one behind the last. A change that was begun (-1) and not finished does not hold."""
    return FOR_EVER if low == -1 else low, FOR_EVER if high in (None, -1) else high


def _stored(row: dict[str, Any]) -> StoredMessage:
    message = json.loads(row["m"])
    _, fixed, sent = got(0, "message", message)
    return StoredMessage(
        message["sender_id"],
        message["client_message_id"],
        message["message_id"],
        message["body"]["text"],
        fixed,
        sent,
        "x" in row,
        tuple(row.get("e", {}).get("l", ())),
        tuple(row.get("hid", ())),
        digest(repr([row.get(name) for name in REGISTERS]).encode()),
    )


def _change(row: dict[str, Any]) -> StoredChange:
    conversation, target = row["_id"]["c"], row.get("g", 0)
    about = {"message_id": f"{conversation}:{target}"} if target else json.loads(row["m"])["value"]
    return StoredChange(row["t"], target, digest(name_of(row["t"], about).encode()))


def read_rings(settings: Settings, facts: Facts) -> None:
    with redis.Redis.from_url(settings.redis.url) as client:
        for user in {user for user, _ in facts.devices}:
            key = f"{settings.redis.key_prefix}{{u:{user}}}:ring"
            elements = client.lrange(key, 0, -1)
            if not elements:
                continue
            entries = [
                carried(_seq.unpack_from(e)[0], e[HEADER_BYTES:]) for e in elements if len(e) > HEADER_BYTES
            ]
            facts.seen[f"the ring of {user}"] = tokens_in(b"".join(elements))
            facts.raw_rings[user] = elements
            facts.rings[user] = entries
            facts.ring_ends[user] = _seq.unpack_from(elements[-1])[0]
    facts.capacity = settings.ring.capacity


async def read_log(settings: Settings, facts: Facts) -> None:
    """How far the groups are behind, and the dead letters."""
    log = Log(settings.kafka)
    for _ in range(TRIES - 1):
        with suppress(Unavailable):
            facts.lag = await lags(settings)
            break
    else:
        facts.lag = await lags(settings)
    facts.dead_letters = [
        f"{one.topic} {one.partition}@{one.offset} by {one.group}: {one.error} {one.message}"
        async for one in DeadLetterTool(log).letters()
    ]


async def lags(settings: Settings) -> dict[str, int]:
    """Group → records that it has not finished."""
    states = await TopicTool(Log(settings.kafka)).describe()
    return {lag.group: lag.behind for state in states for lag in state.lags}


async def read_pulls(town: Town, facts: Facts) -> None:
    """Everybody's whole inbox, with pages of several sizes, from one API and the other."""
    for number, user in enumerate(sorted({user for user, _ in facts.devices})):
        for place, limit in enumerate(PAGES):
            try:
                entries, seen = await _pulled(town, number + place, user, limit)
            except NoAnswer as reason:
                facts.unsettled.append(f"{user} could not pull by {limit}: {reason}")
            else:
                facts.pulls.append(Pulled(user, limit, entries))
                facts.seen[f"a pull of {user} by {limit}"] = seen


async def _pulled(town: Town, api: int, user: str, limit: int) -> tuple[list[Got], set[str]]:
    """From cursor 0 to the end, and whose texts stand there. Raises NoAnswer."""
    entries: list[Got] = []
    seen: set[str] = set()
    cursor, more = 0, True
    while more:
        path = f"/v1/sync?cursor={cursor}&limit={limit}"
        answer = await asked(town, api, path, user)
        page = decode_page(answer.raw)
        seen |= tokens_in(answer.raw)
        entries += [entry.got() for entry in page.entries]
        more = page.more and page.cursor > cursor
        cursor = page.cursor
    return entries, seen


async def asked(town: Town, api: int, path: str, user: str) -> Answer:
    """Nothing is broken any more: what is not answered is asked for a few times, then given up.

    Raises NoAnswer.
    """
    said = ""
    for _ in range(TRIES):
        try:
            answer = await town.call("GET", api, path, town.token(user), within_s=PATIENCE_S)
        except NoAnswer as reason:
            said = str(reason)
            continue
        if answer.good or not answer.retriable:
            return answer
        said = answer.code
        await asyncio.sleep(1.0)
    raise NoAnswer(said)
