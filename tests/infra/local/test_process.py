from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from infra.local import process
from infra.local.process import ChildProcess
from tests.infra.local.orphans import SLEEPER, WATCHED, all_gone, eventually, is_alive, running

# Says that it is ready, and ignores SIGTERM.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def sleeper(folder: Path) -> ChildProcess:
    return ChildProcess("sleeper", ["/bin/sleep", "600"], folder / "log")


async def test_stop_ends_a_child_with_sigterm(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    await child.start()
    assert child.running
    await child.stop()
    assert await child.wait() == -signal.SIGTERM
    assert not is_alive(child.pid)


async def test_child_that_ignores_sigterm_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = ChildProcess("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    await child.start()
    await eventually(lambda: "ready" in child.written())
    await child.stop(deadline_s=0.1)
    assert await child.wait() == -signal.SIGKILL


async def test_cancelled_stop_kills_at_once(tmp_path: Path) -> None:
    child = ChildProcess("stubborn", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    await child.start()
    await eventually(lambda: "ready" in child.written())
    stop = asyncio.create_task(child.stop(deadline_s=600))
    await asyncio.sleep(0)
    stop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stop
    assert await child.wait() == -signal.SIGKILL


async def test_stop_may_come_before_start_and_twice(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    await child.stop()
    await child.start()
    await child.stop()
    await child.stop()


async def test_written_is_what_came_since_the_last_start(tmp_path: Path) -> None:
    child = ChildProcess("echo", ["/bin/echo", "first"], tmp_path / "log")
    await child.start()
    await child.wait()
    child.argv[1] = "second"
    await child.start()
    await child.wait()
    assert child.written() == "second\n"
    assert child.log.read_text() == "first\nsecond\n"


async def test_large_log_is_put_aside_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 10)
    (tmp_path / "log").write_text("more than ten bytes")
    child = ChildProcess("echo", ["/bin/echo", "new"], tmp_path / "log")
    await child.start()
    await child.wait()
    assert (tmp_path / "log").read_text() == "new\n"
    assert (tmp_path / "log.1").read_text() == "more than ten bytes"


@pytest.mark.parametrize("program", [SLEEPER, WATCHED], ids=["tied", "watched"])
def test_killed_parent_leaves_no_process(program: str, tmp_path: Path) -> None:
    with running(program, str(tmp_path)) as (parent, pids):
        assert all(map(is_alive, pids))
        parent.kill()
        assert all_gone(pids)


async def test_dismissed_watcher_leaves_the_group_alone(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    await child.start()
    watcher = await process.watch(child.pid)
    assert watcher.stdin is not None
    watcher.stdin.write(b".")
    assert await watcher.wait() == 0
    watcher.stdin.close()
    assert child.running
    await child.stop()
