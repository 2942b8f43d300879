"""The report of a run, as a table for people and as JSON for programs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.cpu import OWN, STANDARD_LOOP_S
from benchmarks.outcome import Outcome, median

TARGETS = Path(__file__).with_name("targets.toml")


class Target(NamedTuple):
    """What is wanted of a figure: `at_most`, or else at least, this value."""

    at_most: bool
    value: float
    text: str

    def met(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value


def targets(path: Path = TARGETS) -> dict[str, dict[str, Target]]:
    """Scenario → figure → target. ValueError for a text that is none."""
    return {
        scenario: {figure: _target(text) for figure, text in wanted.items()}
        for scenario, wanted in tomllib.loads(path.read_text()).items()
    }


def _target(text: str) -> Target:
    sign, _, number = text.partition(" ")
    if sign not in ("≤", "≥"):
        raise ValueError(f"a target begins with ≤ or ≥, and {text!r} does not")
    return Target(sign == "≤", float(number), text)


class Part(NamedTuple):
    """What came of one scenario at one Ringpost, run by run."""

    scenario: str
    title: str
    url: str
    runs: list[Outcome]


def for_programs(parts: Sequence[Part], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything: medians, single runs, distributions, targets."""
    wanted = targets()
    return {
        **about,
        "scenarios": [
            {
                "scenario": part.scenario,
                "title": part.title,
                "url": part.url,
                "median": asdict(median(part.runs)),
                "runs": [asdict(run) for run in part.runs],
                "targets": {name: target.text for name, target in wanted.get(part.scenario, {}).items()},
            }
            for part in parts
        ],
    }


def show(parts: Sequence[Part], about: Mapping[str, Any]) -> None:
    """The table of each scenario. With two Ringposts: the figures of both, and their ratio."""
    console = Console(highlight=False)
    against = about["urls"][1:]
    console.print(
        f"Ringpost at {about['urls'][0]}" + (f", against the one at {against[0]}" if against else "")
    )
    for named in about["processes"]:
        console.print(named, soft_wrap=True)
    console.print(
        f"Medians of {about['runs']} runs. CPU is scaled to a loop of {STANDARD_LOOP_S} s, raw is not. "
        f"Load average {about['load_average'][0]:.1f} before and {about['load_average'][1]:.1f} after.",
        soft_wrap=True,
    )
    for scenario in dict.fromkeys(part.scenario for part in parts):
        of_it = [part for part in parts if part.scenario == scenario]
        console.print(_table(of_it, about["usual_sizes"]))
        for line in remarks(of_it):
            console.print(line, soft_wrap=True)


def _table(parts: Sequence[Part], usual: bool) -> Table:
    """Targets are for the usual sizes, so no others are judged by them."""
    medians = [median(part.runs) for part in parts]
    loops = " and ".join(f"{one.loop_s:.3f} s" for one in medians if one.loop_s)
    table = Table(title=parts[0].title + (f" (loop {loops})" if loops else ""), title_justify="left")
    table.add_column("")
    for name in ("value", "raw", *(("against", "ratio") if len(parts) > 1 else ()), "target"):
        table.add_column(name, justify="right")
    for row in rows(medians, targets().get(parts[0].scenario, {}) if usual else {}):
        table.add_row(*row)
    return table


def rows(medians: Sequence[Outcome], wanted: Mapping[str, Target]) -> Iterator[list[str | Text]]:
    """Name, value, raw value; then the second value and the ratio, if there are two; then the target."""
    first = medians[0]
    for name in dict.fromkeys(name for one in medians for name in one.figures):
        value = first.figures.get(name)
        cells: list[str | Text] = [name, number(value), number(first.raw.get(name))]
        for other in medians[1:]:
            theirs = other.figures.get(name)
            ratio = f"{value / theirs:.2f}" if value is not None and theirs else ""
            cells += [number(theirs), ratio]
        target = wanted.get(name)
        cells.append(_judged(target, value) if target and value is not None else "")
        yield cells


def number(value: float | None) -> str:
    """With the digits that count."""
    if value is None:
        return ""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _judged(target: Target, value: float) -> Text:
    met = target.met(value)
    return Text(target.text if met else f"missed {target.text}", style="green" if met else "red")


def remarks(parts: Sequence[Part]) -> Iterator[str]:
    """What did not add up, and what failed."""
    for part in parts:
        outcome = median(part.runs)
        at = f" at {part.url}" if len(parts) > 1 else ""
        if not outcome.good:
            counted = ", ".join(f"{count} {name}" for name, count in outcome.checks.items())
            yield f"Entries do not add up{at}: {counted}"
        for reason, count in outcome.errors.items():
            yield f"Not answered with success{at}: {count} × {reason}"


def processes_named(url: str, processes: Mapping[int, str]) -> str:
    """Whose CPU time the tables hold."""
    if not processes:
        return (
            f"No process of the Ringpost at {url} is seen here: it runs on another machine, in a container "
            f"or behind a proxy. Only {OWN} is counted. --pids names the processes to watch."
        )
    named = ", ".join(f"{name} ({pid})" for pid, name in processes.items())
    return f"CPU is that of the Ringpost at {url}: {named}"
