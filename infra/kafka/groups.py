"""What the brokers know of a consumer group: its members, and how far it is."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from aiokafka.errors import for_code

from domain.errors import Unavailable
from infra.kafka.clients import Log, translated

LOOK_AGAIN_S = 0.5
_NO_SUCH_GROUP = 69


class GroupState(NamedTuple):
    """`hosts`: the host of each member. A member that died still counts for one session.

    `behind`: records that the group has not finished. `finished`: records that it has, since the topic began.
    """

    group: str
    hosts: list[str]
    behind: int
    finished: int


class GroupTool:
    """Looks at the group that reads a topic of the catalogue. Raises Unavailable."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def look(self, group: str, topic: str) -> GroupState:
        async with self._log.admin() as admin, self._log.observer() as observer:
            first, end = await observer.bounds(topic)
            committed = await self._log.committed(admin, group, topic)
            with translated():
                answers = await admin.describe_consumer_groups([self._log.group(group)])
        code, _, _, _, _, members, *_ = answers[0].groups[0]
        if code not in (0, _NO_SUCH_GROUP):
            raise Unavailable(f"Kafka does not describe the group {group}: {for_code(code).__name__}.")
        done = {partition: max(committed.get(partition, 0), first[partition]) for partition in end}
        behind = sum(end[partition] - done[partition] for partition in end)
        hosts = [str(host).removeprefix("/") for _, _, host, *_ in members]
        return GroupState(self._log.group(group), hosts, behind, sum(done.values()))

    async def moves(self, group: str, topic: str, within_s: float) -> bool:
        """Whether the group finishes a record within that time, or has none left."""
        before = await self.look(group, topic)
        deadline = time.monotonic() + within_s
        state = before
        while state.behind and state.finished == before.finished:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)
            state = await self.look(group, topic)
        return True
