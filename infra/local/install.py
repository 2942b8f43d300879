"""Installs packages with pip and says from the first second what it is doing.

A program of its own, `python -I infra/local/install.py ARGUMENTS-OF-PIP-INSTALL`: it runs before anything is
installed. On a terminal one line shows the package and the seconds; elsewhere a line comes every few seconds.
What pip said is shown only if it fails. The exit code is that of pip.
"""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

TELL_S = 5.0
LAST_LINES = 30
_collecting = re.compile(r"Collecting ([\w.\[\]-]+)")
_size = re.compile(r"\s*(?:Downloading|Using cached) .*\(([\d.]+ [kMG]B)\)")
_pinned = re.compile(r"^[\w.\[\]-]+==", re.MULTILINE)


class Story:
    """What the lines of pip so far come to, as half a sentence."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun = 0
        self._name = ""
        self.text = "asking for the packages"

    def read(self, line: str) -> None:
        if found := _collecting.match(line):
            self._begun += 1
            self._name = found[1]
            self.text = f"{self._place()}: {self._name}"
        elif found := _size.match(line):
            self.text = f"{self._place()}: {self._name}, {found[1]}"
        elif line.startswith("Installing collected packages"):
            self.text = "unpacking what was downloaded"

    def _place(self) -> str:
        return f"package {self._begun} of {self._count}" if self._count >= self._begun else "package"


def pinned(arguments: Sequence[str]) -> int:
    """How many packages the requirements files among the arguments name."""
    files = [Path(after) for before, after in pairwise(arguments) if before == "-r"]
    return sum(len(_pinned.findall(file.read_text())) for file in files)


def install(command: Sequence[str], story: Story) -> int:
    """Run it and tell its story; its exit code."""
    lines: queue.Queue[str | None] = queue.Queue()
    said: deque[str] = deque(maxlen=LAST_LINES)
    began = told = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        threading.Thread(target=_pass_on, args=(pip.stdout, lines), daemon=True).start()
        line: str | None = ""
        while line is not None:
            with suppress(queue.Empty):
                line = lines.get(timeout=0.2)
                said.append(line or "")
                story.read(line or "")
            told = _tell(story.text, time.monotonic() - began, told)
    if sys.stdout.isatty():
        _write("\r\x1b[K")
    if pip.returncode:
        sys.stderr.write("".join(said))
    else:
        _write(f"  installed in {time.monotonic() - began:.0f} s\n")
    return pip.returncode


def _pass_on(lines: Iterable[str], to: queue.Queue[str | None]) -> None:
    for line in lines:
        to.put(line)
    to.put(None)


def _tell(text: str, elapsed_s: float, told: float) -> float:
    """One line that is written over on a terminal; elsewhere a line every `TELL_S`. When it was told last."""
    if sys.stdout.isatty():
        line = f"  {text} ({elapsed_s:.0f} s)"
        _write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
    elif time.monotonic() - told > TELL_S:
        _write(f"  {text} ({elapsed_s:.0f} s)\n")
        return time.monotonic()
    return told


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    try:
        sys.exit(install([*pip, *sys.argv[1:]], Story(pinned(sys.argv))))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
