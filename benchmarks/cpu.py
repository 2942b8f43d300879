"""What processes use, as Linux counts it in /proc, and how fast this machine is at the moment."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
STANDARD_LOOP_S = 0.1
"""CPU figures are scaled to a machine on which the loop takes this long."""
OWN = "this generator"


def loop_s() -> float:
    """CPU time of 1,000,000 steps of a plain loop. The median of three, because a busy machine varies."""
    return statistics.median(_one_loop_s() for _ in range(3))


def _one_loop_s() -> float:
    began = time.thread_time()
    x = 0
    for i in range(1_000_000):
        x += i * i % 7
    return time.thread_time() - began


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


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM; 0 when it has ended."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


class CpuClock:
    """What the processes have used since `start`, and what this process has."""

    def __init__(self, processes: Mapping[int, str]) -> None:
        self._processes = processes
        self._before: dict[int, float] = {}
        self._own_before = 0.0

    def start(self) -> None:
        read = {pid: cpu_s(pid) for pid in self._processes}
        self._before = {pid: used for pid, used in read.items() if used is not None}
        self._own_before = time.process_time()

    def used_s(self) -> dict[str, float]:
        """Name → seconds of CPU. Processes of one name are added up."""
        used: Counter[str] = Counter()
        for pid, before in self._before.items():
            now = cpu_s(pid)
            if now is not None:
                used[self._processes[pid]] += now - before  # type: ignore[assignment]
        return dict(used) | {OWN: time.process_time() - self._own_before}
