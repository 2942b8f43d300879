"""The parts of a Ringpost as processes of their own, which a test starts, stops and kills."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from infra.local.process import tied
from tests.docs.running import ADMIN_KEY, ROOT, TOKEN_KEY, forget
from tests.engines import Engines
from tests.patience import PATIENCE_S


class Part:
    """One process; `url` is where it listens, known once it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = ""
        self._process = process
        self._log = log

    async def ready(self) -> None:
        """Wait until the process has said where it listens and finds itself ready."""
        give_up = time.monotonic() + PATIENCE_S
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while time.monotonic() < give_up and self._process.poll() is None:
                self.url = self.url or self._address()
                if self.url and await _says_ready(client, self.url):
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(f"{self._log.name} was not ready:\n{self.tail()}")

    async def stop(self) -> None:
        """SIGTERM, and a clean end."""
        self._process.terminate()
        try:
            code = await asyncio.to_thread(self._process.wait, PATIENCE_S)
        except subprocess.TimeoutExpired:
            await self.kill()
            raise AssertionError(f"{self._log.name} did not stop:\n{self.tail()}") from None
        assert code == 0, f"{self._log.name} ended with {code}:\n{self.tail()}"

    async def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def signal(self, number: int) -> None:
        """Nothing happens if it has ended."""
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal that ended it."""
        return self._process.poll()

    def tail(self) -> str:
        return self._log.read_text()[-4000:]

    def _address(self) -> str:
        for line in self._log.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                said = json.loads(line)
                if said.get("event") == "ready":
                    return str(said["address"])
        return ""


async def _says_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


class Parts:
    """Starts parts that share a database, topics and keys; remembers them for the end."""

    def __init__(self, engines: Engines, unique: str, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._started: list[Part] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
        self._environment = (
            kept
            | {
                "RINGPOST_MONGO_URL": engines.mongo_url,
                "RINGPOST_MONGO_DATABASE": unique,
                "RINGPOST_KAFKA_BOOTSTRAP": engines.kafka_bootstrap,
                "RINGPOST_KAFKA_TOPIC_PREFIX": f"{unique}.",
                "RINGPOST_KAFKA_PARTITIONS": "8",
                "RINGPOST_REDIS_URL": engines.redis_url,
                "RINGPOST_REDIS_KEY_PREFIX": f"{unique}:",
                "RINGPOST_HTTP_PORT": "0",
                "RINGPOST_ADMIN_KEY": ADMIN_KEY,
                "RINGPOST_TOKEN_KEY": TOKEN_KEY,
                "RINGPOST_DATA_DIR": str(folder),
                "RINGPOST_LOG_FORMAT": "json",
            }
            | settings
        )

    async def start(self, *names: str, **settings: str) -> list[Part]:
        """Start one process for each name (`api`, `inbox`, `push`, `relay`) and wait for all of them."""
        parts = [self.spawn(name, **settings) for name in names]
        await asyncio.gather(*(part.ready() for part in parts))
        return parts

    async def stop(self, *parts: Part) -> None:
        await asyncio.gather(*(part.stop() for part in parts))

    async def end(self) -> None:
        """Everything that still runs is stopped; what does not stop in time is an error."""
        await self.stop(*(part for part in self._started if part.alive))

    async def kill(self) -> None:
        """Nothing is left running, whatever happened."""
        await asyncio.gather(*(part.kill() for part in self._started))

    def spawn(self, name: str, *, limits: str = "", **settings: str) -> Part:
        """Start one process and do not wait for it. It dies with the thread that calls this.

        `limits` are commands for the shell that becomes the process: `ulimit -n 300`.
        """
        path = self._folder / f"{name}-{len(self._started)}.log"
        words = [sys.executable, "-m", "ringpost", *(["api"] if name == "api" else ["worker", name])]
        if limits:
            words = ["/bin/sh", "-c", f'{limits} && exec "$@"', "sh", *words]
        with path.open("w") as log:
            process = subprocess.Popen(
                tied(words),
                cwd=ROOT,
                env=self._environment | settings,
                stdout=log,
                stderr=log,
            )
        part = Part(process, path)
        self._started.append(part)
        return part


@asynccontextmanager
async def opened_parts(
    engines: Engines, unique: str, folder: Path, *, short_lived: bool = False, **settings: str
) -> AsyncIterator[Parts]:
    """Parts for the length of the block; stopped in an orderly way if all went well, else killed.

    What they stored is removed, unless the engines are `short_lived` themselves.
    """
    parts = Parts(engines, unique, folder, **settings)
    try:
        yield parts
        await parts.end()
    finally:
        await parts.kill()
        if not short_lived:
            await asyncio.to_thread(forget, engines, unique)
