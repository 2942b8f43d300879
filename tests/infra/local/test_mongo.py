from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from infra.local.mongo import closed
from infra.local.stack import LocalEngines
from tests.builders import until

pytestmark = pytest.mark.own_engines


def state(pid: int) -> str:
    """`T`: it is stopped."""
    return subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout.strip()[:1]


async def test_client_of_a_server_that_hangs_is_closed_though_nobody_waits_any_longer(tmp_path: Path) -> None:
    """A start that waits in vain asks again and again, and each time leaves in the middle of the close."""
    async with LocalEngines(tmp_path, which={"mongo"}) as engines:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            engines.url("mongo"), serverMonitoringMode="poll"
        )
        await client.admin.command("ping")
        pid = engines.pid("mongo")
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: state(pid) == "T")  # the signal is sent, and takes effect a moment later
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(closed(client), 0.2)
        finally:
            os.kill(pid, signal.SIGCONT)
    del client
    gc.collect()  # an open client would be an error of this test
