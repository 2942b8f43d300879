"""Where the message of a violation is, and where it is not: from the store to the rings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from domain.errors import Unavailable
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Broken, Records
from infra.kafka.clients import Log
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.settings import Settings
from tests.torture.facts import Facts, Place, Violation, digest

MOST = 10
"""So many messages are looked for."""

Found = dict[Place, list[str]]
"""Place → where in the log it is, and for whom."""


async def evidence(settings: Settings, facts: Facts, violations: Iterable[Violation]) -> list[str]:
    """For the first messages that something is wrong with: a few lines each."""
    places = list(dict.fromkeys(one.place for one in violations if one.place is not None))[:MOST]
    if not places:
        return []
    log: Found = {}
    with suppress(Unavailable):
        log = await _in_log(settings, set(places))
    return [line for place in places for line in _lines(facts, place, log.get(place, []))]


def _lines(facts: Facts, place: Place, log: list[str]) -> list[str]:
    stored = facts.messages.get(place)
    name = stored.client_message_id if stored else ""
    lines = [f"evidence of {place[0]}:{place[1]}"]
    for sending in facts.sendings:
        if sending.name == name:
            answers = ", ".join(f"{at:.2f} s {message_id}" for at, message_id in sending.answers) or "none"
            said = f"{name} of {sending.sender}, begun {sending.begun_at:.2f} s, answers: {answers}"
            lines.append(f"  sent       {said}")
    change = facts.changes.get(place)
    there = f"there, {change.type} of {change.target}" if change else f"there, as {name}"
    lines.append(f"  store      {there if stored or change else 'absent'}")
    lines.append(f"  recipients {', '.join(sorted(facts.recipients(place))) or 'none'}")
    windows = {u: some for u, some in facts.windows.get(place[0], {}).items() if some != [(1, 2**53)]}
    lines.append(f"  windows    {windows or 'all from the beginning'}")
    changes = [change for change in facts.changings if change.conversation_id == place[0]]
    for change in changes:
        what = f"{'join' if change.join else 'leave'} of {change.user}{' (perhaps)' if change.maybe else ''}"
        lines.append(f"  change     {what}: {change.begun_at:.2f} to {change.ended_at:.2f} s")
    rows = [row.row_id for row in facts.outbox if place in row.places]
    lines.append(f"  outbox     {', '.join(rows) or 'no row'}")
    lines += [f"  log        {one}" for one in log] or ["  log        no record"]
    lines.append(f"  timelines  {_timelines(facts, place)}")
    lines.append(f"  rings      {_rings(facts, place)}")
    return lines


def _timelines(facts: Facts, place: Place) -> str:
    have = [f"{user} {seq}" for user, some in facts.timelines.items() for seq, at in some if at == place]
    return ", ".join(have) or "in none"


def _rings(facts: Facts, place: Place) -> str:
    message, _ = facts.entry(place) or (0, 0)
    have = [
        f"{user} {one.seq}" for user, ring in facts.rings.items() for one in ring if one.message == message
    ]
    return ", ".join(have) or "in none"


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, first: int, end: int
) -> AsyncIterator[tuple[int, bytes]]:
    """All of one partition that is there now."""
    if first == end:
        return
    consumer.assign([place])
    consumer.seek(place, first)
    position = first
    while position < end:
        taken = await consumer.getmany(place, timeout_ms=1000)
        for record in taken.get(place, ()):
            yield record.offset, record.value
        position = await consumer.position(place)


async def _in_log(settings: Settings, places: set[Place]) -> Found:
    """Every record of these messages on `deliveries` and `arrivals`."""
    log = Log(settings.kafka)
    found: Found = defaultdict(list)
    forms: dict[str, Records[Any]] = {DELIVERIES: DELIVERY_RECORDS, ARRIVALS: ARRIVAL_RECORDS}
    async with log.observer() as observer:
        for topic, records in forms.items():
            first, end = await observer.bounds(topic)
            for partition in end:
                place = TopicPartition(log.topic(topic), partition)
                async for offset, value in _records(
                    observer.consumer, place, first[partition], end[partition]
                ):
                    for event in records.decode(value):
                        if isinstance(event, Broken) or (event.conversation_id, event.seq) not in places:
                            continue
                        to = ", ".join(map(str, event.to))
                        said = f"{topic} {partition}@{offset} for {to} ({digest(bytes(event.message)):x})"
                        found[event.conversation_id, event.seq].append(said)
    return found
