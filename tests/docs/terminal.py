"""A terminal in which a reader runs what a page of the documentation says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.patience import PATIENCE_S


def files(page: str) -> dict[str, str]:
    """Name → content of the files that the page tells its reader to write."""
    return dict(re.findall(r"^Put this into `([^`]+)`:\n\n```python\n(.*?)^```", page, re.M | re.S))


def commands(page: str) -> list[str]:
    """The shell blocks of the page, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)


class Terminal:
    """Runs one block; what the last command of it prints is in `lines`, errors included."""

    def __init__(self, block: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        *before, last = block.strip().splitlines()
        script = "\n".join(["set -euo pipefail", *before, f"exec {last}"])
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [shutil.which("bash") or "bash", "-c", script],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def until(self, line: str, times: int = 1) -> None:
        """Waits until the line has been printed so many times."""
        give_up = time.monotonic() + PATIENCE_S
        while self.lines.count(line) < times:
            assert time.monotonic() < give_up, f"{line!r} is not among {self.lines}"
            assert self._process.poll() is None or line in self.lines, f"it has ended: {self.lines}"
            time.sleep(0.05)

    def ended(self) -> list[str]:
        """What it has printed, once the command is through."""
        self._process.wait(PATIENCE_S)
        self._reading.join(PATIENCE_S)
        return self.lines

    def kill(self) -> None:
        """SIGKILL: the program has no time for anything."""
        self._process.kill()
        self._process.wait()
        self._reading.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
