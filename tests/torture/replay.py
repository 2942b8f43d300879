"""The whole log once more from its beginning: nothing may change by it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.settings import Settings
from tests.patience import PATIENCE_S
from tests.torture.collect import lags, read_rings, read_store
from tests.torture.facts import Facts, Violation
from tests.torture.ledger import Ledger
from tests.torture.stage import Stage

GROUPS = {"inbox": DELIVERIES, "push": ARRIVALS}
WORK_OFF_S = 300.0


async def replayed(stage: Stage, before: Facts, ledger: Ledger) -> list[Violation]:
    """Stop the consumers, send them back to the beginning, start them; what has changed afterwards."""
    places = [place for group in GROUPS for place in stage.supervisor.named(group)]
    received = len_of_all(ledger)
    await asyncio.gather(*map(stage.supervisor.stop, places))
    for group, topic in GROUPS.items():
        await _send_back(stage.settings, group, topic)
    for place in places:
        stage.supervisor.start(place)
    late = await stage.supervisor.ready(PATIENCE_S)
    found = [Violation("replay", f"{name} was not ready") for name in late]
    found += await _worked_off(stage.settings)
    after = Facts(devices=before.devices)
    await asyncio.to_thread(read_store, stage.settings, after)
    await asyncio.to_thread(read_rings, stage.settings, after)
    found += differences(before, after)
    if (now := len_of_all(ledger)) != received:
        found.append(Violation("replay", f"devices got {now - received} entries more by the replay"))
    return found


def differences(before: Facts, after: Facts) -> list[Violation]:
    """Timelines and rings are to be the same, byte for byte; messages as well."""
    found = []
    if before.messages != after.messages or before.changes != after.changes:
        found.append(Violation("replay", "the messages are not those from before"))
    found += [
        Violation("replay", f"the timeline of {user} is another one", user)
        for user in sorted(before.timelines.keys() | after.timelines.keys())
        if before.timelines.get(user) != after.timelines.get(user)
    ]
    for user in sorted(before.raw_rings.keys() | after.raw_rings.keys()):
        old, new = before.raw_rings.get(user), after.raw_rings.get(user)
        if old != new:
            sizes = f"{len(old or ())} entries before, {len(new or ())} after"
            found.append(Violation("replay", f"the ring of {user} is another one: {sizes}", user))
    return found


def len_of_all(ledger: Ledger) -> int:
    return sum(len(connection.entries) for connection in ledger.connections)


async def _send_back(settings: Settings, group: str, topic: str) -> None:
    """Commit offset 0 in the name of the group, once it has no members."""
    log = Log(settings.kafka)
    places = [TopicPartition(log.topic(topic), number) for number in range(settings.kafka.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap, group_id=log.group(group), enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(places)
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                await consumer.commit(dict.fromkeys(places, 0))
                return
            except KafkaError:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.5)
    finally:
        await consumer.stop()


async def _worked_off(settings: Settings) -> list[Violation]:
    give_up = time.monotonic() + WORK_OFF_S
    while True:
        behind: dict[str, int] | None = None
        with suppress(Unavailable):
            behind = {group: count for group, count in (await lags(settings)).items() if count > 0}
        if behind == {}:
            return []
        if time.monotonic() > give_up:
            return [Violation("replay", f"after {WORK_OFF_S:.0f} s the groups were behind: {behind}")]
        await asyncio.sleep(0.5)
