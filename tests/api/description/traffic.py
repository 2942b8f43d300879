"""A whole Ringpost that is used in every way, and all that travelled meanwhile: frames and records."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from infra.kafka.topics import DELIVERIES, TOPICS
from tests.api.people import Person, Server, Socket
from tests.docs.running import running
from tests.engines import Engines
from tests.patience import PATIENCE_S

UNREADABLE = b"this is no record"
ONE_IS_WRONG = (
    b'{"type":"deliveries","items":'
    b'[["d:ann:bob",0,["ann"],{}],["d:ann:bob",9007199254740000,[],{"message_id":"x"}]]}'
)
"""The seq of the first item is too low. The second one is for nobody."""


class Traffic(NamedTuple):
    """`records` by topic, without the prefix."""

    served: dict[str, Any]
    said: list[Any]
    frames: list[Any]
    records: dict[str, list[ConsumerRecord]]


@contextmanager
def traffic(engines: Engines, unique: str, folder: Path) -> Iterator[Traffic]:
    with (
        running(engines, unique, folder, RINGPOST_GATEWAY_HEARTBEAT_S="0.5") as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        served = http.get("/asyncapi.json").raise_for_status().json()
        said, frames = _talk(server)
        records = asyncio.run(_log(engines, unique))
        yield Traffic(served, said, frames, records)


def _talk(server: Server) -> tuple[list[Any], list[Any]]:
    """What bob said on his socket, with one signal of ann's, and all that he got."""
    ann, bob = server.person("ann"), server.person("bob")
    said: list[Any] = []
    frames: list[Any] = []
    conversation = ann.direct(bob)
    with bob.socket(cursor=0) as socket, ann.socket() as other:
        said.append({"type": "hello", "cursor": 0})
        frames.append(socket.welcome)
        said.append({"type": "watch", "user_ids": ["ann", "bob"]})
        socket.say(**said[-1])
        frames.append(socket.next("presence"))
        said.append({"type": "signal", "conversation_id": conversation, "signal": "typing", "data": {"s": 5}})
        other.say(**said[-1])
        frames.append(_past_presence(socket))
        quiet = len(said)
        said += [
            {"type": "send", "ref": 1, **_draft("one", "hi"), "mentions": ["ann"]},
            {"type": "send", "ref": "two", **_draft("two", "")},
            {"type": "send", "ref": 3, "to": "ann", "client_message_id": "3", "forward_of": "d:ann:bob:99"},
            {"type": "ack", "cursor": 0},
            {"type": "ping"},
            {"type": "ping", "ref": "p"},
            {"type": "ack", "cursor": 9_000},
        ]
        for frame in said[quiet:]:
            socket.say(**frame)
        use(ann, bob)
        head = told(bob)
        end = time.monotonic() + PATIENCE_S
        while not _complete(frames, head):
            assert time.monotonic() < end, frames
            frames.append(json.loads(socket.connection.recv(timeout=PATIENCE_S)))
    return said, frames


def _past_presence(socket: Socket) -> Any:
    """The signal, before or after news of who is online."""
    while (frame := json.loads(socket.connection.recv(timeout=PATIENCE_S)))["type"] != "signal":
        assert frame["type"] in {"presence", "heartbeat"}, frame
    return frame


def _draft(name: str, text: str) -> dict[str, Any]:
    return {"to": "ann", "client_message_id": name, "kind": "text", "body": {"text": text}}


def use(ann: Person, bob: Person) -> None:
    """Everything that makes an entry in the inbox of bob."""
    conversation = ann.direct(bob)
    names = [ann.send(conversation, text)["message_id"] for text in ("edited", "recalled", "hidden")]
    edited, recalled, hidden = (f"/v1/messages/{name}" for name in names)
    reply = {"reply_to": names[0], **_draft("reply", "yes"), "to": "bob"}
    last = ann.post("/v1/messages", **reply)["seq"]
    edit = {"client_message_id": "e", "body": {"text": "better"}, "mentions": "all"}
    marks = f"/v1/conversations/{conversation}"
    for person, method, path, body in (
        (ann, "PATCH", edited, edit),
        (ann, "DELETE", recalled, None),
        (bob, "DELETE", f"{hidden}/mine", None),
        (bob, "PUT", f"{edited}/reactions/👍", None),
        (bob, "PUT", f"{edited}/pin", None),
        (ann, "PUT", f"{marks}/read", {"seq": last}),
        (bob, "PUT", f"{marks}/read", {"seq": last}),
        (bob, "PATCH", f"{marks}/me", {"draft": "well", "muted_until": "2040-01-01T00:00:00Z"}),
        (bob, "PATCH", f"{marks}/me", {"cleared_seq": 1, "pinned": True, "archived": True}),
    ):
        answer = person.ask(method, path, json=body) if body else person.ask(method, path)
        assert answer.status_code == 200, answer.text


KINDS = {"message", "edit", "recall", "reactions", "pin", "read", "receipt", "settings", "hidden"}


def told(person: Person) -> int:
    """The head of the inbox as soon as it has an entry of each type."""
    end = time.monotonic() + PATIENCE_S
    while True:
        page = person.get("/v1/sync", limit=200)
        if {entry["type"] for entry in page["entries"]} >= KINDS:
            return int(page["head"])
        assert time.monotonic() < end, page
        person.get("/v1/sync", cursor=page["cursor"], wait_s=1)


def _complete(frames: list[Any], head: int) -> bool:
    types = [frame["type"] for frame in frames]
    seqs = [entry["seq"] for frame in frames for entry in frame.get("entries", ())]
    answers = types.count("sent"), types.count("pong"), types.count("error")
    return answers == (1, 2, 3) and "heartbeat" in types and max(seqs, default=0) >= head


async def _log(engines: Engines, unique: str) -> dict[str, list[ConsumerRecord]]:
    """Every record of every topic, with two that cannot be processed among them."""
    async with AIOKafkaProducer(bootstrap_servers=engines.kafka_bootstrap) as producer:
        for value in (UNREADABLE, ONE_IS_WRONG):
            await producer.send_and_wait(f"{unique}.{DELIVERIES}", value, key=b"0", partition=0)
    names = [f"{unique}.{topic.name}" for topic in TOPICS]
    records: dict[str, list[ConsumerRecord]] = {topic.name: [] for topic in TOPICS}
    async with AIOKafkaConsumer(
        *names, bootstrap_servers=engines.kafka_bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        async with asyncio.timeout(PATIENCE_S):
            while len(records["deliveries.dlq"]) < 2 or not records["arrivals"] or not records["messages"]:
                for place, some in (await consumer.getmany(timeout_ms=200)).items():
                    records[place.topic.removeprefix(f"{unique}.")] += some
    return records
