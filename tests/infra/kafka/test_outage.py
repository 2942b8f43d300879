"""What publisher and reader say while no broker answers, and that they go on afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from domain.errors import Unavailable
from infra.kafka.clients import Log
from infra.kafka.publisher import Publisher, Record, open_publisher
from infra.kafka.reader import Reader
from infra.kafka.topics import DELIVERIES, TopicTool
from infra.local.stack import LocalEngines
from infra.settings import KafkaSettings
from tests.builders import until
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.own_engines, pytest.mark.faults]


async def nothing() -> None:
    return


async def is_taken(publisher: Publisher) -> bool:
    try:
        await (await publisher.enqueue([Record(DELIVERIES, 0, b"0", b"after")])).confirmed()
    except Unavailable:
        return False
    return True


async def test_publisher_and_reader_give_up_in_time_and_go_on(tmp_path: Path) -> None:
    async with LocalEngines(tmp_path, which={"kafka"}) as engines:
        log = Log(KafkaSettings(bootstrap=engines.url("kafka"), partitions=1, confirm_s=1.0))
        await TopicTool(log).create()
        reader = Reader(log, "inbox", DELIVERIES, 10)
        async with open_publisher(log) as publisher:
            await reader.open(nothing)
            await until(lambda: is_taken(publisher))
            await until(lambda: reader.take(1, 200))
            os.kill(engines.pid("kafka"), signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(Unavailable):
                    await reader.commit({0: 1})
                receipt = asyncio.create_task(is_taken(publisher))
                assert not await receipt
            await engines.restart("kafka")
            await until(lambda: is_taken(publisher))
            await until(lambda: reader.take(1, 200))
        await reader.close()
