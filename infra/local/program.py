"""The programs of engines: from the PATH if new enough there, else from a wheel of the extra `local`."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from infra.local.process import LocalEngineError


class Program(NamedTuple):
    path: Path
    version: str
    source: str


class Wanted(NamedTuple):
    """A program: its name on the PATH, the oldest version that works, and the wheels that contain it."""

    command: str
    version_argument: str
    at_least: int
    wheels: Sequence[tuple[str, str]]
    instead: str

    def find(self, engine: str) -> Program:
        """The program of this engine. LocalEngineError says what to install or which URL to set."""
        on_path = shutil.which(self.command)
        if on_path and (version := self._version(Path(on_path))):
            return Program(Path(on_path), version, "from PATH")
        for wheel, inside in self.wheels:
            path = _in_wheel(wheel, inside)
            if path and (version := self._version(path)):
                return Program(path, version, f"from the wheel {wheel}")
        raise LocalEngineError(
            f"{engine} needs `{self.command}` {self.at_least} or later, and there is none: "
            f"not on the PATH, and no wheel of it is installed that runs on this platform. {self.instead}"
        )

    def _version(self, path: Path) -> str:
        """Its version. Empty if it does not run here or is too old."""
        try:
            done = subprocess.run(
                [path, self.version_argument], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        found = re.search(r"(?:v=?|version \"?)(\d+)((?:\.\d+)*)", done.stdout + done.stderr)
        if done.returncode or not found or int(found[1]) < self.at_least:
            return ""
        return found[1] + found[2]


def _in_wheel(wheel: str, inside: str) -> Path | None:
    try:
        path = Path(str(metadata.distribution(wheel).locate_file(inside)))
    except metadata.PackageNotFoundError:
        return None
    return _executable(path) if path.is_file() else None


def _executable(path: Path) -> Path:
    """The program with the run bit, which wheels may lack. If it cannot be set (a folder of root), a copy
    has it.
    """
    mode = path.stat().st_mode
    if mode & stat.S_IXUSR:
        return path
    try:
        path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except PermissionError:
        copy = cache_folder() / path.name
        if not copy.exists() or copy.stat().st_size != path.stat().st_size:
            shutil.copyfile(path, copy)
        copy.chmod(0o755)
        return copy
    return path


def cache_folder() -> Path:
    """The folder of downloads for this user. It may be deleted at any time."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringpost"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
