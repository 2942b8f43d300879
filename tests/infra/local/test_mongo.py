from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from infra.local.mongo import closed
from infra.local.stack import LocalEngines

pytestmark = pytest.mark.own_engines


async def test_client_of_a_server_that_hangs_is_closed_though_nobody_waits_any_longer(tmp_path: Path) -> None:
    """A start that waits in vain asks again and again, and each time leaves in the middle of the close."""
    async with LocalEngines(tmp_path, which={"mongo"}) as engines:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            engines.url("mongo"), serverMonitoringMode="poll"
        )
        await client.admin.command("ping")
        os.kill(engines.pid("mongo"), signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(closed(client), 0.2)
        finally:
            os.kill(engines.pid("mongo"), signal.SIGCONT)
    del client
    gc.collect()  # an open client would be an error of this test
