"""The common part of the three engines: a folder, ports, a program, and the wait until it serves."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.local.ports import is_free, keep_ports
from infra.local.process import ChildProcess, LocalEngineError
from infra.local.program import Program, Wanted

READY_S = 60.0
_TRIES = 3

Tell = Callable[[str], None]


class EngineInfo(NamedTuple):
    name: str
    version: str
    address: str
    source: str


class Server(ABC):
    """One engine: a process on loopback with its data and log below `folder`.

    It takes the ports of the last run if they are still free. Within one run they never change.
    """

    key: str
    name: str
    wanted: Wanted
    port_names: Sequence[str] = ("port",)
    stop_deadline_s = 10.0
    open_files = 0
    """The open files that it needs."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder = folder
        self.tell = tell
        self.ports: dict[str, int] = {}
        self._process = ChildProcess(self.key, [], folder / f"{self.key}.log")
        self._program: Program | None = None

    # -------------------------------------------------------------- what an engine is

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients."""

    async def prepare(self, program: Program) -> None:
        """Called before each start of the process, once the ports are chosen."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self, program: Program) -> list[str]:
        """The command line, a full path first."""

    @abstractmethod
    async def serves(self) -> bool:
        """Whether it works now. Called until it returns true. It may do what is missing."""

    def version(self, program: Program) -> str:
        return program.version

    def source(self, program: Program) -> str:
        return program.source

    # -------------------------------------------------------------- its life

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports[self.port_names[0]]}"

    @property
    def info(self) -> EngineInfo:
        if self._program is None:
            raise LocalEngineError(f"{self.name} has not been started.")
        return EngineInfo(self.name, self.version(self._program), self.address, self.source(self._program))

    @property
    def pid(self) -> int:
        return self._process.pid

    def check_limits(self) -> None:
        """LocalEngineError when the hard limit of open files is lower than what the engine needs."""
        _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY and allowed < self.open_files:
            raise LocalEngineError(
                f"{self.name} needs {self.open_files} open files, and the hard limit is {allowed}. "
                f"Raise it (`ulimit -Hn`), or set the address of an engine that runs elsewhere."
            )

    async def start(self, keep_open: Sequence[int] = ()) -> None:
        """Return once it serves. LocalEngineError, with the end of its log, if it does not."""
        self._program = await asyncio.to_thread(self.wanted.find, self.name)
        for attempt in range(1, _TRIES + 1):
            self.ports = keep_ports(self.folder / "ports.json", self.port_names)
            try:
                await self._run(self._program, keep_open)
            except LocalEngineError:
                # Someone may have taken a port between the choice and its use.
                if attempt == _TRIES or all(is_free(port) for port in self.ports.values()):
                    raise
            else:
                return

    async def restart(self, keep_open: Sequence[int] = ()) -> None:
        """Stop it if it runs, and start it again on the same data and ports."""
        if self._program is None:
            raise LocalEngineError(f"{self.name} has not been started.")
        await self.stop()
        await self._run(self._program, keep_open)

    async def stop(self) -> None:
        """Stop it in order, then by force. May be called any number of times, also before `start`."""
        await self._process.stop(self.stop_deadline_s)

    async def wait(self) -> int:
        """Wait for the end of its process; the exit code."""
        return await self._process.wait()

    async def _run(self, program: Program, keep_open: Sequence[int]) -> None:
        await self.prepare(program)
        self._process.argv = self.command(program)
        await self._process.start(keep_open)
        try:
            await self._until_it_serves()
        except BaseException:
            await self._process.stop(self.stop_deadline_s)
            raise

    async def _until_it_serves(self) -> None:
        give_up = time.monotonic() + READY_S
        while self._process.running and time.monotonic() < give_up:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + 5):
                    if await self.serves():
                        return
            await asyncio.sleep(0.03)
        state = "does not answer" if self._process.running else f"ended with {await self._process.wait()}"
        last = "\n".join(self._process.written().splitlines()[-8:])
        raise LocalEngineError(f"{self.name} {state}. The end of its log, {self._process.log}:\n{last}")

    def log_of_this_run(self) -> str:
        return self._process.written()
