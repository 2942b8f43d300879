"""Programs for the tests to run and kill, and how to see that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[3]

STACK = """
import asyncio, sys
from pathlib import Path
from infra.local.stack import LocalEngines

async def main():
    async with LocalEngines(Path(sys.argv[1])) as engines:
        print(*(engines.pid(name) for name in ("mongo", "kafka", "redis")), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

SLEEPER = """
import asyncio, sys
from pathlib import Path
from infra.local.process import ChildProcess, watch

async def main():
    child = ChildProcess("sleeper", ["/bin/sleep", "600"], Path(sys.argv[1]) / "log")
    await child.start()
    print(child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

# As on a system whose kernel does not tie children to their parents.
WATCHED = """
import asyncio
from infra.local.process import watch

async def main():
    child = await asyncio.create_subprocess_exec("/bin/sleep", "600", start_new_session=True)
    watcher = await watch(child.pid)
    print(child.pid, watcher.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def running(program: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run the program; it and the process ids that it printed. Whatever is left at the end is killed."""
    pids: list[int] = []
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            pids.extend(int(word) for word in parent.stdout.readline().split())
            assert pids, "the program ended before it printed anything"
            yield parent, pids
        finally:
            parent.kill()
            for pid in filter(is_alive, pids):
                os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is more than an entry that nobody has collected yet."""
    status = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self").exists():
            state = status.read_text().rpartition(")")[2]
        else:
            state = subprocess.check_output(["ps", "-o", "stat=", "-p", str(pid)], text=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return not state.strip().startswith("Z")


def all_gone(pids: list[int]) -> bool:
    """Whether all of them end while we wait."""
    give_up = time.monotonic() + PATIENCE_S
    while any(map(is_alive, pids)):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds; fails after a while."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)
