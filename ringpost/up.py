"""`ringpost up`: the engines and every part on one machine, for trying out and developing."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from socket import gethostname
from zlib import crc32

import httpx
from rich.console import Console

from api.server import bound_socket
from infra.descriptors import raise_limit
from infra.keys import load_keys
from infra.local.process import ChildProcess, LocalEngineError
from infra.local.server import EngineInfo
from infra.local.stack import ENGINES, LocalEngines
from infra.retry import backoff_s
from infra.settings import AuthSettings, Settings, SettingsError
from ringpost.name import command_name
from ringpost.output import OutputLost
from ringpost.running import VARIABLES, Running, announced, http_url, without_address
from ringpost.starting import Starting

READY_DEADLINE_S = 120.0
STOP_S = 15.0
"""After which a part is killed. It is done sooner: see `infra/lifecycle.py`."""
SAY_AFTER_S = 2.0
PARTS = {
    "api": ("api", "--stage"),
    "inbox": ("worker", "inbox"),
    "push": ("worker", "push"),
    "relay": ("worker", "relay"),
}
CONSUMERS = ("inbox", "push")
TITLES = {"api": "API", "inbox": "worker inbox", "push": "worker push", "relay": "worker relay"}


def run_up(settings: Settings) -> None:
    """Start everything, print the addresses, supervise until SIGINT or SIGTERM, stop everything."""
    raise_limit()  # the engines and the parts inherit it
    with bound_socket(settings.http.host, settings.http.port) as bound:  # a taken port is said at once
        port = int(bound.getsockname()[1])
    try:
        asyncio.run(_Up(settings, port).run())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


class _Up:
    """It starts parts and engines again when they end. All of them end with this process."""

    def __init__(self, settings: Settings, port: int) -> None:
        self._settings = settings
        self._port = port
        self._url = http_url(settings.http.host, port)
        self._folder: Path = settings.auth.data_dir.resolve()
        self._logs = self._folder / "logs"
        self._console = Console(highlight=False, soft_wrap=True)
        self._stopping = asyncio.Event()
        self._engines_serve = False
        self._running: Sequence[ChildProcess] = ()

    async def run(self) -> None:
        """Runs until SIGINT or SIGTERM, also during the start."""
        loop = asyncio.get_running_loop()
        working = asyncio.create_task(self._work())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told_to_stop, working)
        try:
            await working
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        self._say("Stopped.")

    def _told_to_stop(self, working: asyncio.Task[None]) -> None:
        if not self._stopping.is_set():
            self._say("Stopping.")
            self._stopping.set()
            asyncio.get_running_loop().call_later(SAY_AFTER_S, self._say_awaited)
            if not self._engines_serve:
                working.cancel()

    def _say_awaited(self) -> None:
        running = [TITLES[part.name] for part in self._running if part.running]
        self._say(f"Waiting for the end of: {', '.join(running) or 'the engines'}")

    async def _work(self) -> None:
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            async with Starting(self._console) as starting:
                engines = await stack.enter_async_context(self._engines(starting))
                self._engines_serve = True
                # Of our own engines. The parts read the other addresses where we read them.
                addresses = {VARIABLES[name]: engines.url(name) for name in without_address(self._settings)}
                parts = self._running = self._parts(addresses)
                await stack.enter_async_context(self._kept(parts, engines))
                await self._ready(parts, starting)
            stack.enter_context(announced(self._folder, Running(self._url, addresses)))
            if not self._stopping.is_set():
                self._welcome(time.monotonic() - began)
            await self._stopping.wait()

    def _engines(self, starting: Starting) -> LocalEngines:
        """Those that have no address; the others are said to be used."""
        which = without_address(self._settings)
        for key in ENGINES:
            if key not in which:
                self._say(f"{ENGINES[key].name}: the one that your settings name")

        def serves(engine: EngineInfo) -> None:
            text = f"{engine.name} {engine.version} at {engine.address}, {engine.source}"
            starting.ready(engine.name, text)

        return LocalEngines(self._folder, starting.note, which, on_starting=starting.begin, on_serving=serves)

    def _parts(self, addresses: dict[str, str]) -> list[ChildProcess]:
        own = {
            "RINGPOST_DATA_DIR": str(self._folder),
            "RINGPOST_HTTP_PORT": str(self._port),
            "RINGPOST_WORKER_PORT": "0",
        }
        # Of this folder alone: another `up` may use the same Kafka.
        slot = f"up-{crc32(f'{gethostname()} {self._folder}'.encode()):08x}"
        named = {"RINGPOST_WORKER_INSTANCE": slot, **os.environ}
        environment = {**named, **own, **addresses}
        command = [sys.executable, "-m", "ringpost"]
        return [
            ChildProcess(name, [*command, *words], self._logs / f"{name}.log", environment)
            for name, words in PARTS.items()
        ]

    @asynccontextmanager
    async def _kept(self, parts: Sequence[ChildProcess], engines: LocalEngines) -> AsyncIterator[None]:
        """Parts and engines run, and are started again when they end, until the block ends."""
        tasks = [asyncio.create_task(self._keep(part)) for part in parts]
        tasks.append(asyncio.create_task(self._keep_engines(engines)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The API first, then the workers. The engines follow when the block around this one ends.
            await parts[0].stop(STOP_S)
            await asyncio.gather(*(part.stop(STOP_S) for part in parts[1:]))

    def _say(self, text: str) -> None:
        """What runs goes on where nobody reads the output any more."""
        with suppress(OutputLost):
            self._console.print(text, markup=False)

    async def _keep(self, part: ChildProcess) -> None:
        """Run the part. Start it again when it ends, after growing waits."""
        waits = backoff_s(0.1, 10.0)
        while True:
            started = time.monotonic()
            await part.start()
            await part.wait()
            if time.monotonic() - started > 60:
                waits = backoff_s(0.1, 10.0)
            self._say(f"{part.name} ended and is started again; its log: {part.log}")
            await asyncio.sleep(next(waits))

    async def _keep_engines(self, engines: LocalEngines) -> None:
        waits = backoff_s(0.1, 10.0)
        while True:
            name = await engines.wait_crash()
            self._say(f"{name} ended and is started again on its data")
            try:
                await engines.restart(name)
            except (LocalEngineError, OSError) as error:
                self._say(str(error))
                await asyncio.sleep(next(waits))

    async def _ready(self, parts: Sequence[ChildProcess], starting: Starting) -> None:
        """Wait until the API answers and every worker says that it is ready."""
        for part in parts:
            joins = part.name in CONSUMERS
            starting.begin(TITLES[part.name], "starts and joins its group in Kafka" if joins else "starts")
        deadline = time.monotonic() + READY_DEADLINE_S
        while starting.waiting and not self._stopping.is_set():
            for part in parts:
                title = TITLES[part.name]
                if title in starting.waiting and await self._says_ready(part):
                    starting.ready(title, f"{title} is ready")
            if time.monotonic() > deadline:
                missing = ", ".join(starting.waiting)
                raise SettingsError(f"{missing}: not ready in time. See the logs in {self._logs}.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def _says_ready(self, part: ChildProcess) -> bool:
        """The API by its own word. A worker by its log: once its group has let it in, or its services run."""
        if part.name == "api":
            return await self._api_ready()
        sign = "partitions assigned" if part.name in CONSUMERS else '"ready"'
        return part.running and sign in part.written()

    async def _api_ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self._url}/health/ready", timeout=5)).is_success
        except httpx.HTTPError:
            return False

    def _welcome(self, took_s: float) -> None:
        keys = load_keys(self._settings.auth)
        self._say(f"\nRingpost is ready after {took_s:.1f} s")
        if page := self._page():
            self._say(f"  page       {page}  (ann and bob, on this machine alone)")
        self._say(f"  API        {self._url}")
        self._say(f"  try it     {self._url}/docs")
        self._say(f"  admin key  {keys.admin}")
        if port := self._settings.http.admin_port:
            self._say(f"  admin port {port}, for /metrics and calls with the admin key")
        self._say(f"  logs       {self._logs}")
        self._say(f"In another terminal: {self._folder_setting()}{command_name()} doctor")
        self._say("These engines are for trying out and developing; production: docs/production.md")
        self._say("Ctrl-C stops everything.")

    def _folder_setting(self) -> str:
        """What comes before a command in another terminal, if the data folder is not the usual one."""
        usual: Path = AuthSettings.model_fields["data_dir"].default
        same = self._folder == usual.resolve()
        return "" if same else f"RINGPOST_DATA_DIR={shlex.quote(str(self._folder))} "

    def _page(self) -> str | None:
        """Where this machine finds the page of ann and bob; None if we listen on no loopback address."""
        if self._settings.http.host in {"127.0.0.1", "::1", "localhost"}:
            return self._url
        return f"http://localhost:{self._port}" if self._settings.http.host in {"0.0.0.0", "::"} else None
