"""What a message, a timeline line and a ring entry take: `python -m benchmarks.sizes`.

MongoDB and Redis are those of the settings. It writes into a database and under a key prefix of its own, with
the stores of the product, and removes both. `ringpost bench --only idle` measures an idle connection.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pymongo
import uvloop
from msgspec import Raw
from rich.console import Console
from rich.table import Table

from domain.clock import now_ms, rfc3339
from domain.entries import Entry
from domain.errors import RingpostError
from domain.ids import ConversationId, DeviceId, UserId, direct_id, message_id
from domain.messages import Draft, Message
from infra.mongo.client import open_database
from infra.mongo.indexes import ensure_schema
from infra.mongo.messages import MessageStore, Stored
from infra.mongo.timelines import Line, TimelineStore
from infra.redis.client import open_redis
from infra.redis.keys import Keys
from infra.redis.presence import Online, Presence
from infra.redis.ring import Ring
from infra.settings import Settings, SettingsError, load_settings

BATCH = 500
PEOPLE = 100


@dataclass(frozen=True)
class Size:
    """Bytes of one thing: as MongoDB or Redis counts them, and on disk where there is one."""

    what: str
    count: int
    bytes_each: float
    disk_bytes_each: float | None = None


def people() -> list[tuple[UserId, UserId]]:
    """Pairs who write to each other."""
    names = [UserId(f"user-{number:05d}") for number in range(PEOPLE)]
    return list(zip(names[::2], names[1::2], strict=True))


def messages(count: int, text_bytes: int) -> list[Stored]:
    """Direct messages as a client would send them. Their texts are random, so they do not compress."""
    pairs = people()
    made = []
    for number in range(count):
        sender, other = pairs[number % len(pairs)]
        made.append(_message(direct_id(sender, other), number // len(pairs) + 1, sender, text_bytes))
    return made


def _message(conversation: ConversationId, seq: int, sender: UserId, text_bytes: int) -> Stored:
    body = Raw(json.dumps({"text": secrets.token_urlsafe(text_bytes)[:text_bytes]}).encode())
    draft = Draft(conversation, sender, secrets.token_hex(16), "text", body)
    message = Message(
        message_id(conversation, seq),
        conversation,
        seq,
        sender,
        draft.client_message_id,
        draft.kind,
        body,
        rfc3339(now_ms()),
    )
    return Stored(conversation, seq, sender, draft.key(), draft.content_hash(), message.encode())


def lines(stored: Sequence[Stored]) -> list[Line]:
    """The timeline lines of these messages: one for each of the two people."""
    heads: dict[UserId, int] = {}
    made = []
    for one in stored:
        _, low, high = one.conversation_id.split(":")
        for user in (UserId(low), UserId(high)):
            heads[user] = heads.get(user, 0) + 1
            made.append(Line(user, heads[user], one.conversation_id, one.seq))
    return made


async def mongo_sizes(settings: Settings, count: int, text_bytes: int) -> list[Size]:
    """Of a stored message and of a timeline line, with their indexes. Raises Unavailable."""
    name = f"sizes_{secrets.token_hex(4)}"
    stored = messages(count, text_bytes)
    async with open_database(settings.mongo.model_copy(update={"database": name})) as database:
        try:
            await ensure_schema(database)
            store, timelines = MessageStore(database), TimelineStore(database)
            written = lines(stored)
            for at in range(0, len(stored), BATCH):
                await store.insert(stored[at : at + BATCH])
            for at in range(0, len(written), BATCH):
                await timelines.append(written[at : at + BATCH])
            counted = await asyncio.to_thread(_counted, settings.mongo.url, name)
        finally:
            await database.drop()
    titles = {
        "messages": f"message with a text of {text_bytes} bytes, in MongoDB",
        "timelines": "timeline line",
    }
    return [Size(titles[collection], stats["count"], *_each(stats)) for collection, stats in counted.items()]


def _counted(url: str, database: str) -> dict[str, dict[str, Any]]:
    """What MongoDB says of the two large collections, once all of it is on the disk."""
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        client.admin.command("fsync")
        return {name: client[database].command("collStats", name) for name in ("messages", "timelines")}


def _each(stats: dict[str, Any]) -> tuple[float, float]:
    """Bytes of one document, and its bytes on the disk. Blocks that MongoDB keeps for reuse do not count."""
    free = [stats["freeStorageSize"]]
    free += [one["block-manager"]["file bytes available for reuse"] for one in stats["indexDetails"].values()]
    on_disk = stats["storageSize"] + stats["totalIndexSize"] - sum(free)
    return stats["size"] / stats["count"], on_disk / stats["count"]


async def redis_sizes(settings: Settings, text_bytes: int) -> list[Size]:
    """Of an entry in a full ring, and of a device that is online. Raises Unavailable."""
    keys = Keys(f"sizes_{secrets.token_hex(4)}:")
    user = UserId("user-00000")
    entries = [Entry(n, one.message) for n, one in enumerate(messages(settings.ring.capacity, text_bytes), 1)]
    async with open_redis(settings.redis) as client:
        ring = Ring(client, keys, settings.ring)
        presence = Presence(client, keys, settings.gateway.presence_ttl_s)
        try:
            token = await ring.begin_fill(user)
            assert token is not None, "the key is new"
            await ring.fill(user, token, 0, entries[: ring.fill_limit])
            await ring.append([(user, entries[ring.fill_limit :])] if entries[ring.fill_limit :] else [])
            phone = Online(user, DeviceId("phone"), secrets.token_hex(8))
            await presence.write(secrets.token_hex(6), [(phone, True)])
            held = await client.memory_usage(keys.ring(user), samples=0)
            online = await client.memory_usage(keys.online(user), samples=0)
        finally:
            await client.delete(keys.ring(user), keys.filling(user), keys.online(user))
    title = f"ring entry with a text of {text_bytes} bytes, in Redis"
    return [
        Size(title, len(entries), (held or 0) / len(entries)),
        Size("online device, in Redis", 1, online or 0),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=__doc__)
    add = parser.add_argument
    add("--messages", type=int, default=20_000, help="messages to store (%(default)s)")
    add("--text-bytes", type=int, default=100, help="length of a text (%(default)s)")
    add("--json", action="store_true", help="print one JSON array instead of a table")
    return parser


async def measure(asked: argparse.Namespace, settings: Settings) -> list[Size]:
    sizes = await mongo_sizes(settings, asked.messages, asked.text_bytes)
    return sizes + await redis_sizes(settings, asked.text_bytes)


def main() -> None:
    """Exit code 2: it could not be run."""
    asked = _parser().parse_args()
    try:
        settings = load_settings()
        settings.need_engines()
        sizes = uvloop.run(measure(asked, settings))
    except (SettingsError, RingpostError, OSError, TimeoutError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(2)
    if asked.json:
        print(json.dumps([asdict(size) for size in sizes]))
        return
    table = Table("", "measured over", "bytes each", "bytes each on disk")
    for size in sizes:
        disk = "" if size.disk_bytes_each is None else f"{size.disk_bytes_each:,.0f}"
        table.add_row(size.what, f"{size.count:,}", f"{size.bytes_each:,.0f}", disk)
    Console().print(table)


if __name__ == "__main__":
    main()
