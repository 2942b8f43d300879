"""A child process that writes to a log file and cannot outlive its parent.

On Linux the kernel kills it when the *thread* that started it ends. So start it from a thread that lives as
long as the child should: that of the event loop. On other systems a small watching process kills it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_LIMIT_BYTES = 10_000_000

# Runs in the child before its program: die with the parent, and at once if that is dead already.
_TIE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

# Ends quietly on a byte; on end of file, which is the parent's death, kills the group first.
_WATCH = """
import os, signal, sys
if not os.read(0, 1):
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
"""


class LocalEngineError(Exception):
    """An embedded engine cannot run here. The message says why, and what to do."""


def tied(argv: Sequence[str]) -> list[str]:
    """A command that runs `argv` and dies with this process (Linux). `argv` begins with a full path."""
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *argv]


class ChildProcess:
    """One child in its own session, so that a Ctrl-C at the terminal reaches only its parent.

    May be started again once it has ended. Not safe for use from two tasks at once.
    """

    def __init__(
        self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.env = dict(env) if env is not None else None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Its process id, also after its end; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, keep_open: Sequence[int] = ()) -> None:
        """Start it. It holds the file descriptors `keep_open` until its end."""
        _rotate(self.log)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *tied(self.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=self.env,
                start_new_session=True,
                pass_fds=tuple(keep_open),
            )
        if sys.platform != "linux":
            self._watcher = await watch(self._process.pid)

    async def wait(self) -> int:
        """Wait for its end. Returns its exit code, or minus the signal that ended it."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Send SIGTERM, then SIGKILL at the deadline or when cancelled. It has ended at return. May be
        repeated.
        """
        if self._process is None:
            return
        try:
            if self.running:
                self._process.terminate()
                async with asyncio.timeout(deadline_s):
                    await self._process.wait()
        except TimeoutError:
            self._kill()
            await self._process.wait()
        finally:
            self._kill()
            await self._dismiss_watcher()

    def written(self) -> str:
        """What it has written to its log since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _kill(self) -> None:
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _dismiss_watcher(self) -> None:
        if self._watcher is not None and self._watcher.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._watcher.stdin.write(b".")
                await self._watcher.stdin.drain()
            self._watcher.stdin.close()
            await self._watcher.wait()
            self._watcher = None


async def watch(group: int) -> asyncio.subprocess.Process:
    """A process that kills the process group when this process is gone. A byte on its stdin ends it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        "-c",
        _WATCH,
        str(group),
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
