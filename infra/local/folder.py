"""A data folder belongs to one stack of engines at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from infra.local.process import LocalEngineError

_LEFTOVERS_S = 10.0


class FolderLock:
    """Held from `take` to `release`, and beyond by every child that was given `fd`, until the last has ended.

    So the holder knows that no engine of an earlier, killed stack still writes to the folder.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self._path = folder / "engines.lock"
        self._tell = tell
        self.fd = -1

    async def take(self) -> None:
        """Waits a moment until engines of a killed stack end. LocalEngineError if the folder is in use."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LocalEngineError(
                "RINGPOST_DATA_DIR must be a folder that can be made and written to, "
                f"and {self._path.parent} cannot: {error.strerror}."
            ) from None
        give_up = time.monotonic() + _LEFTOVERS_S
        told = False
        while not try_lock(self.fd, fcntl.LOCK_EX):
            owner = self._owner()
            if owner == os.getpid() or (owner and _alive(owner)) or time.monotonic() > give_up:
                self.release()
                raise LocalEngineError(
                    f"The data folder {self._path.parent} is already in use by process {owner or 'unknown'}. "
                    "Stop that one, or set RINGPOST_DATA_DIR to another folder."
                )
            if not told:
                self._tell("The engines of a Ringpost that was killed still run here. Waiting for their end")
                told = True
            await asyncio.sleep(0.05)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _owner(self) -> int:
        text = os.pread(self.fd, 20, 0).decode(errors="replace")
        return int(text) if text.isdigit() else 0


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of a file, `LOCK_EX` or `LOCK_SH`. False if another holds it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
