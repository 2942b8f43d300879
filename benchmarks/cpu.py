"""CPU time of the processes that a message passes through, as Linux counts it in /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

PROC = Path("/proc")


def name_of(arguments: Sequence[str]) -> str | None:
    """What a process with this command line is to Ringpost; None for all others."""
    program = Path(arguments[0].split(" ")[0].rstrip(":")).name if arguments else ""
    if program in ("mongod", "redis-server"):
        return program
    if program == "java":
        return "kafka" if "kafka.Kafka" in arguments else None
    if program.startswith(("python", "ringpost")):
        return _part_of_ringpost(arguments)
    return None


def _part_of_ringpost(arguments: Sequence[str]) -> str | None:
    """`ringpost api`, `python …/ringpost worker inbox`, `python -m ringpost worker inbox` …"""
    for at, argument in enumerate(arguments):
        if Path(argument).name in ("ringpost", "ringpost.cli"):
            words = [word for word in arguments[at + 1 :] if not word.startswith("-")]
            if words[:1] == ["bench"]:
                return None
            return " ".join(["ringpost", *words[:2]])
    return None


def given(text: str) -> dict[int, str]:
    """`api=12,inbox=34` → process id → name."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {int(pid): name for name, _, pid in pairs}


def cpu_s(pid: int) -> float | None:
    """User and system time so far; None when there is no such process (or no /proc)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(") ")[2].split(" ")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class CpuClock:
    """What each process has used since `start`."""

    def __init__(self, processes: Mapping[int, str]) -> None:
        self._processes = dict(processes) | {os.getpid(): "this generator"}
        self._before: dict[int, float] = {}

    @property
    def watched(self) -> dict[str, int]:
        """Name, with the process id where several have one name, → process id; without this process."""
        names = list(self._processes.values())
        return {
            name if names.count(name) == 1 else f"{name} ({pid})": pid
            for pid, name in self._processes.items()
            if pid != os.getpid()
        }

    def start(self) -> None:
        read = {pid: cpu_s(pid) for pid in self._processes}
        self._before = {pid: used for pid, used in read.items() if used is not None}

    def used_s(self) -> dict[str, float]:
        """Name (with the process id where several have one name) → seconds of CPU."""
        names = [self._processes[pid] for pid in self._before]
        used = {}
        for pid, before in self._before.items():
            now, name = cpu_s(pid), self._processes[pid]
            if now is not None:
                used[name if names.count(name) == 1 else f"{name} ({pid})"] = now - before
        return used
