"""The report as one page: how much and how fast, second by second, with the faults marked. No scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from html import escape
from operator import itemgetter
from typing import Any

from tests.torture.ledger import Latency
from tests.torture.run import Run

WIDTH, HEIGHT, LEFT, TOP = 1000, 150, 60, 20
COLOURS = ("#1f6f8b", "#c8553d")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto;
padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd;
text-align: left; vertical-align: top } .good { color: #1b7f3b } .bad { color: #b3261e } svg { width: 100% }
pre { overflow-x: auto; background: #f6f6f6; padding: 1em } text { font: 11px system-ui, sans-serif }
"""


def page_of(run: Run, report: dict[str, Any]) -> str:
    verdict = "Nothing lost, nothing twice." if report["ok"] else "A promise was not kept."
    kind = "good" if report["ok"] else "bad"
    what = f"modes {', '.join(report['modes'])}, seed {report['seed']}"
    title = f"Ringpost torture: {escape(what)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style><h1>Ringpost torture</h1><p>{escape(what)}, {report['seconds']:g} s at "
        f"{report['rate']:g} sends a second, {report['users']} users with {report['devices']} devices.</p>"
        f'<p class="{kind}"><strong>{verdict}</strong></p>{_violations(report)}'
        f"<h2>Second by second</h2><p>Grey: what was broken, until it was mended.</p>{_charts(run)}"
        f"<h2>Faults</h2>{_faults(report)}<h2>Figures</h2>{_figures(report)}</html>\n"
    )


def _violations(report: dict[str, Any]) -> str:
    if report["ok"]:
        return ""
    rows = [(one["rule"], one["said"], "; ".join(one["near"])) for one in report["violations"]]
    lines = escape("\n".join(report["evidence"]))
    return _table(("rule", "what", "faults near it"), rows) + (f"<pre>{lines}</pre>" if lines else "")


def _faults(report: dict[str, Any]) -> str:
    rows = [(one["began_s"], one["mended_s"], one["fault"]) for one in report["faults"]]
    rows += [(note["at_s"], "", note["said"]) for note in report["notes"]]
    return _table(("from, s", "to, s", "what"), sorted(rows, key=itemgetter(0)))


def _figures(report: dict[str, Any]) -> str:
    left_out = {"faults", "notes", "violations", "evidence", "modes"}
    rows = []
    for name, value in report.items():
        if name not in left_out:
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            rows.append((name.replace("_", " "), shown))
    return _table(("", ""), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


# ------------------------------------------------------------------ charts


def _charts(run: Run) -> str:
    answers, receipts = run.ledger.answers, run.ledger.receipts
    charts = (
        ("a second", _by_second(answers, len), _by_second(receipts, len)),
        ("p99, ms", _by_second(answers, _p99_ms), _by_second(receipts, _p99_ms)),
    )
    return "".join(_chart(run, *chart) for chart in charts)


def _by_second(latencies: Sequence[Latency], value: Callable[[list[float]], float]) -> dict[int, float]:
    seconds: dict[int, list[float]] = defaultdict(list)
    for latency in latencies:
        seconds[int(latency.at)].append(latency.seconds)
    return {second: value(some) for second, some in seconds.items()}


def _p99_ms(seconds: list[float]) -> float:
    return 1000 * sorted(seconds)[round(0.99 * (len(seconds) - 1))]


def _chart(run: Run, unit: str, answered: dict[int, float], received: dict[int, float]) -> str:
    """Two lines over the seconds; a second in which nothing came is 0."""
    end = max([run.options.seconds, *answered, *received]) + 1
    most = max([1.0, *answered.values(), *received.values()])

    def x(second: float) -> float:
        return LEFT + second / end * (WIDTH - LEFT)

    def y(value: float) -> float:
        return TOP + (1 - value / most) * HEIGHT

    shapes = []
    for broken in run.faults:
        until = broken.began_at if broken.mended_at is None else broken.mended_at
        wide = max(1.5, x(until) - x(broken.began_at))
        shapes.append(
            f'<rect x="{x(broken.began_at):.1f}" y="{TOP}" width="{wide:.1f}" height="{HEIGHT}" '
            f'fill="#888" fill-opacity="0.25"><title>{escape(str(broken.fault))}</title></rect>'
        )
    for colour, name, values in zip(COLOURS, ("answered", "received"), (answered, received), strict=True):
        line = " ".join(f"{x(s):.1f},{y(values.get(s, 0.0)):.1f}" for s in range(int(end)))
        shapes.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        at = LEFT + 10 + 90 * COLOURS.index(colour)
        shapes.append(f'<text x="{at}" y="{TOP - 6}" fill="{colour}">{name}</text>')
    shapes += [f'<text x="{x(s):.0f}" y="{TOP + HEIGHT + 14}">{s} s</text>' for s in range(0, int(end), 10)]
    shapes.append(f'<text x="0" y="{TOP + 10}">{most:.0f} {unit}</text>')
    size = f"{WIDTH} {TOP + HEIGHT + 20}"
    return f'<svg viewBox="0 0 {size}" role="img" aria-label="{unit}">{"".join(shapes)}</svg>'
