from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.folder import FolderLock
from infra.local.process import LocalEngineError
from tests.infra.local.orphans import ROOT, is_alive, running

HOLDER = """
import asyncio, os, subprocess, sys
from pathlib import Path
from infra.local.folder import FolderLock

lock = FolderLock(Path(sys.argv[1]))
asyncio.run(lock.take())
child = subprocess.Popen(["/bin/sleep", sys.argv[2]], pass_fds=[lock.fd])
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


async def test_second_stack_is_told_which_process_uses_the_folder(tmp_path: Path) -> None:
    with running(HOLDER, str(tmp_path), "600") as (holder, _), pytest.raises(LocalEngineError) as raised:
        await FolderLock(tmp_path).take()
    assert f"already in use by process {holder.pid}." in str(raised.value)
    assert str(tmp_path) in str(raised.value)


async def test_second_lock_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    await lock.take()
    with pytest.raises(LocalEngineError, match=f"process {os.getpid()}"):
        await FolderLock(tmp_path).take()
    lock.release()
    await lock.take()
    lock.release()


async def test_folder_is_free_once_the_last_engine_of_a_killed_stack_has_ended(tmp_path: Path) -> None:
    with running(HOLDER, str(tmp_path), "1") as (holder, (_, engine)):
        holder.kill()
        holder.wait()
        lock = FolderLock(tmp_path)
        await lock.take()
        lock.release()
        assert not is_alive(engine)


def test_lock_leaves_no_trace_of_earlier_owners(tmp_path: Path) -> None:
    (tmp_path / "engines.lock").write_text("99999999999")
    take = "import asyncio, sys; from pathlib import Path; from infra.local.folder import FolderLock;"
    take += "asyncio.run(FolderLock(Path(sys.argv[1])).take())"
    done = subprocess.Popen([sys.executable, "-c", take, str(tmp_path)], cwd=ROOT)
    assert done.wait() == 0
    assert (tmp_path / "engines.lock").read_text() == str(done.pid)
