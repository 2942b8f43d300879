"""What came of a scenario: its figures, as they were measured and scaled by the loop."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.book import Book
from benchmarks.cpu import OWN, STANDARD_LOOP_S, CpuClock, loop_s

MEMORY = "memory of an idle connection, KB"
"""A process keeps memory that it had before, so only the largest of several runs shows what it needs."""


@dataclass
class Outcome:
    """Figures by name; the unit stands behind the comma. `raw` has those that were scaled, as measured.

    `curves` are distributions of milliseconds, `timeline` has (second, milliseconds) of single messages.
    """

    figures: dict[str, float] = field(default_factory=dict)
    raw: dict[str, float] = field(default_factory=dict)
    loop_s: float = 0.0
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    timeline: list[tuple[float, float]] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether every entry arrived once and in order."""
        return not any(self.checks.values())

    def close(self, book: Book) -> None:
        """Take over what the book says of the whole scenario, its warm-up included."""
        self.checks, self.errors = book.checks(), dict(book.errors)


class Meter:
    """CPU time from `start` to `stop`, and the loop before and after."""

    def __init__(self, processes: Mapping[int, str]) -> None:
        self._clock = CpuClock(processes)
        self._used: dict[str, float] = {}
        self._loop_s = 0.0

    def start(self) -> None:
        self._loop_s = loop_s()
        self._clock.start()

    def stop(self) -> None:
        self._used = self._clock.used_s()
        self._loop_s = (self._loop_s + loop_s()) / 2

    @property
    def all_s(self) -> float:
        """CPU time of all processes of the Ringpost, as measured."""
        return sum(used for name, used in self._used.items() if name != OWN)

    def each(self, outcome: Outcome, count: float, unit: str, one_by_one: bool = True) -> None:
        """Divide what the processes used by `count` things. `unit` names the result, as "µs per message"."""
        factor = {"µs": 1e6, "core": 1.0}[unit.partition(" ")[0]]
        used = {"in all": self.all_s} if len(self._used) > 1 else {}
        for name, used_s in (used | (self._used if one_by_one else {})).items() if count else ():
            short = name.removeprefix("ringpost ").removeprefix("worker ")
            value = used_s / count * factor
            self._scaled(outcome, f"CPU {short}, {unit}", value, STANDARD_LOOP_S / self._loop_s)

    def per_cpu_second(self, outcome: Outcome, name: str, count: float) -> None:
        """How many things one second of CPU was enough for."""
        if self.all_s:
            self._scaled(outcome, name, count / self.all_s, self._loop_s / STANDARD_LOOP_S)

    def _scaled(self, outcome: Outcome, name: str, value: float, by: float) -> None:
        outcome.loop_s = self._loop_s
        outcome.raw[name] = value
        outcome.figures[name] = value * by


def median(outcomes: Sequence[Outcome]) -> Outcome:
    """The medians of several runs, figure by figure. The distributions are those of the last run."""
    last = outcomes[-1]
    checks, errors = (
        {name: sum(x.get(name, 0) for x in dicts) for name in {n: None for x in dicts for n in x}}
        for dicts in ([one.checks for one in outcomes], [one.errors for one in outcomes])
    )
    return Outcome(
        _medians([one.figures for one in outcomes]),
        _medians([one.raw for one in outcomes]),
        statistics.median(one.loop_s for one in outcomes),
        last.curves,
        last.timeline,
        checks,
        errors,
    )


def _medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names: dict[str, Any] = {name: None for run in runs for name in run}
    return {
        name: (max if name == MEMORY else statistics.median)(run[name] for run in runs if name in run)
        for name in names
    }
