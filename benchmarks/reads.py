"""What reads of one user's conversations take: `python -m benchmarks.reads`.

That is pages of the list, the snapshot, and the read mark of a conversation with many messages. It fills a
database, a key prefix and topics of its own, measures, and removes them. The engines are those of the
settings. Where there is no address, it starts an embedded one. Everything is measured where the API makes it,
without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
from msgspec import Raw
from rich.console import Console
from rich.table import Table

from api.conversation_list import ConversationListing, ConversationRows
from api.conversation_order import ConversationOrder
from api.history import History
from benchmarks.cpu import loop_s
from domain.clock import now_ms, rfc3339
from domain.conversations import Conversation
from domain.errors import RingpostError
from domain.ids import ConversationId, UserId, direct_id, message_id
from domain.messages import Draft, Message
from infra.local.process import LocalEngineError
from infra.local.stack import LocalEngines
from infra.mongo.accounts import AccountStore
from infra.mongo.activity import ActivityStore
from infra.mongo.client import Database
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore, Stored
from infra.mongo.timelines import Line, TimelineStore
from infra.redis.client import Client
from infra.redis.keys import Keys
from infra.redis.recent import Recent
from infra.settings import Settings, SettingsError, load_settings
from producers.marks import Marks
from producers.wiring import Clients, SendPath, open_clients, send_path

BATCH = 1_000
READER = UserId("reader")
SEED = 1


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one kind of page, and of the loop measured just before and after it."""

    what: str
    count: int
    best_ms: float
    median_ms: float
    loop_ms: float


def conversation_of(number: int) -> ConversationId:
    return direct_id(READER, UserId(f"user-{number:06d}"))


def places(conversations: int, messages: int, busy_percent: float) -> list[tuple[int, int]]:
    """In the order of the inbox: the number of a conversation, and the seq of a message there.

    Each conversation gets a message first, as far as there are enough. Of the others the first conversation
    gets `busy_percent`, and the rest is random.
    """
    dice = random.Random(SEED)
    seqs: dict[int, int] = {}
    made = []
    for at in range(messages):
        if at < conversations:
            number = at
        elif dice.random() * 100 < busy_percent:
            number = 0
        else:
            number = dice.randrange(conversations)
        seqs[number] = seqs.get(number, 0) + 1
        made.append((number, seqs[number]))
    return made


def _stored(number: int, seq: int, text_bytes: int) -> Stored:
    conversation, sender = conversation_of(number), UserId(f"user-{number:06d}")
    body = Raw(json.dumps({"text": "x" * text_bytes}).encode())
    draft = Draft(conversation, sender, f"c{seq}", "text", body)
    name = message_id(conversation, seq)
    sent_at = rfc3339(now_ms())
    message = Message(name, conversation, seq, sender, draft.client_message_id, draft.kind, body, sent_at)
    return Stored(conversation, seq, sender, draft.key(), draft.content_hash(), message.encode())


async def fill(database: Database, asked: argparse.Namespace) -> None:
    """The conversations of the reader, with their messages and the lines of the reader's timeline."""
    for first in range(0, asked.conversations, BATCH):
        some = range(first, min(first + BATCH, asked.conversations))
        named = [(number, conversation_of(number)) for number in some]
        rows: dict[str, list[dict[str, Any]]] = {
            "users": [{"_id": f"user-{n:06d}", "name": f"User {n}", "at": n} for n, _ in named],
            "members": [
                {"_id": {"c": c, "u": READER}, "r": "member", "w": [[1, None]], "read": 0} for _, c in named
            ],
            "conversations": [
                {"_id": c, "kind": "direct", "title": None, "at": n, "ver": 0, "floor": 0, "owner": None}
                for n, c in named
            ],
        }
        for collection, documents in rows.items():
            await database.collection(collection).insert_many(documents, ordered=False)
    store, timelines = MessageStore(database), TimelineStore(database)
    written = places(asked.conversations, asked.messages, asked.busy_percent)
    for first in range(0, len(written), BATCH):
        batch = written[first : first + BATCH]
        await store.insert([_stored(number, seq, asked.text_bytes) for number, seq in batch])
        await timelines.append(
            [Line(READER, at, conversation_of(n), seq) for at, (n, seq) in enumerate(batch, first + 1)]
        )


LONG = ConversationId("g:aaaaaaaaaaaaaaaa")


async def fill_long(database: Database, messages: int, text_bytes: int) -> None:
    """A group of the reader and one other, who has sent so many messages. No timeline has them."""
    talker = UserId("talker")
    stores = ConversationStore(database), MessageStore(database)
    await stores[0].create(Conversation(LONG, "group", None, now_ms(), owner=talker), [READER, talker])
    text = _stored(0, 1, text_bytes)
    for first in range(0, messages, BATCH):
        seqs = range(first + 1, min(first + BATCH, messages) + 1)
        batch = [
            text._replace(conversation_id=LONG, seq=seq, sender_id=talker, key=seq.to_bytes(16, "big"))
            for seq in seqs
        ]
        await stores[1].insert(batch)


def listing(clients: Clients, path: SendPath) -> ConversationListing:
    """As the API puts it together."""
    database, settings = clients.database, clients.settings
    conversations, messages = ConversationStore(database), MessageStore(database)
    history = History(messages, AccountStore(database), path.membership, path.reading)
    recent = Recent(clients.redis, Keys(settings.redis.key_prefix), settings.ring.idle_ttl_s)
    order = ConversationOrder(ActivityStore(database), TimelineStore(database), conversations, recent)
    rows = ConversationRows(history, path.unread)
    return ConversationListing(order, conversations, messages, history, rows)


async def figures(
    listed: ConversationListing,
    marks: Marks,
    forget: Callable[[], Awaitable[object]],
    asked: argparse.Namespace,
) -> list[Figure]:
    cursor: str | None = None
    read = 0

    async def first_page() -> None:
        await listed.page(READER, None, asked.limit)

    async def next_page() -> None:
        nonlocal cursor
        cursor = (await listed.page(READER, cursor, asked.limit)).cursor

    async def snapshot() -> None:
        await listed.snapshot(READER, None, asked.limit, 20)

    async def unread() -> None:
        await marks.state(READER, LONG)

    async def move_read_mark() -> None:
        nonlocal read
        read += 1
        await marks.read(READER, LONG, read)

    async def nothing() -> None:
        return

    await first_page()
    await next_page()
    await move_read_mark()
    kinds = [
        ("first page, warm Redis", first_page, nothing),
        ("first page, emptied Redis", first_page, forget),
        ("next page", next_page, nothing),
        ("snapshot, 20 messages each", snapshot, nothing),
        (f"unread among {asked.long:,} messages", unread, nothing),
        (f"read mark among {asked.long:,} messages", move_read_mark, nothing),
    ]
    return [await _measured(*kind, asked.requests) for kind in kinds]


async def _measured(
    what: str, work: Callable[[], Awaitable[None]], before: Callable[[], Awaitable[object]], count: int
) -> Figure:
    times = []
    loop_before_s = loop_s()
    for _ in range(count):
        await before()
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    loop_ms = statistics.mean([loop_before_s, loop_s()]) * 1000
    return Figure(what, count, min(times) * 1000, statistics.median(times) * 1000, loop_ms)


@asynccontextmanager
async def _addresses(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """Of each engine. Where the settings have none, an embedded one is started."""
    urls = {
        "mongo": settings.mongo.url,
        "kafka": settings.kafka.bootstrap,
        "redis": settings.redis.url,
    }
    missing = [name for name, url in urls.items() if not url]
    async with AsyncExitStack() as opened:
        if missing:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="ringpost-reads-"))
            local = await opened.enter_async_context(LocalEngines(Path(folder), which=missing))
            urls |= {name: local.url(name) for name in missing}
        yield urls


async def measure(asked: argparse.Namespace, settings: Settings) -> list[Figure]:
    """Raises Unavailable. Leaves nothing behind but empty topics of its own in a Kafka that was given."""
    name = f"reads_{secrets.token_hex(4)}"
    async with AsyncExitStack() as opened:
        urls = await opened.enter_async_context(_addresses(settings))
        settings.mongo = settings.mongo.model_copy(update={"url": urls["mongo"], "database": name})
        settings.kafka = settings.kafka.model_copy(
            update={"bootstrap": urls["kafka"], "topic_prefix": f"{name}.", "partitions": 1}
        )
        settings.redis = settings.redis.model_copy(update={"url": urls["redis"], "key_prefix": f"{name}:"})
        clients = await opened.enter_async_context(open_clients(settings))
        try:
            await fill(clients.database, asked)
            await fill_long(clients.database, asked.long, asked.text_bytes)
            return await _figures(clients, asked)
        finally:
            await _forget(clients.redis, name)
            await clients.database.drop()


async def _figures(clients: Clients, asked: argparse.Namespace) -> list[Figure]:
    path = await send_path(clients)
    marks = Marks(path.sender, path.reading, path.unread)
    recent = Keys(clients.settings.redis.key_prefix).recent(READER)
    spreading = asyncio.create_task(path.spreader.run())
    try:
        return await figures(listing(clients, path), marks, lambda: clients.redis.delete(recent), asked)
    finally:
        path.spreader.stop()
        await spreading


async def _forget(redis: Client, name: str) -> None:
    async for key in redis.scan_iter(f"{name}:*", count=1000):
        await redis.delete(key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reads", description=__doc__)
    add = parser.add_argument
    add("--conversations", type=int, default=50_000, help="conversations of the reader (%(default)s)")
    add("--messages", type=int, default=150_000, help="messages in all of them (%(default)s)")
    add("--long", type=int, default=100_000, help="messages of one conversation beside (%(default)s)")
    add("--busy-percent", type=float, default=0.0, help="how many of these are in one of them (%(default)s)")
    add("--limit", type=int, default=20, help="conversations on a page (%(default)s)")
    add("--requests", type=int, default=20, help="pages of each kind (%(default)s)")
    add("--text-bytes", type=int, default=100, help="length of a text (%(default)s)")
    add("--json", action="store_true", help="print one JSON array instead of a table")
    return parser


def main() -> None:
    """Exit code 2: it could not be run."""
    asked = _parser().parse_args()
    try:
        measured = uvloop.run(measure(asked, load_settings()))
    except (SettingsError, LocalEngineError, RingpostError, OSError, TimeoutError) as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(2)
    if asked.json:
        print(json.dumps([asdict(figure) for figure in measured]))
        return
    title = f"{asked.conversations:,} conversations, {asked.messages:,} messages, pages of {asked.limit}"
    table = Table("", "pages", "best, ms", "median, ms", "loop, ms", title=title)
    for one in measured:
        best, median, loop = f"{one.best_ms:.1f}", f"{one.median_ms:.1f}", f"{one.loop_ms:.0f}"
        table.add_row(one.what, str(one.count), best, median, loop)
    Console().print(table)


if __name__ == "__main__":
    main()
