"""The figures of a run as a picture: an SVG file, written without a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.report import Part

WIDTH, HEIGHT, COLUMNS = 460, 300, 2
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 46, 40
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4b5563")
SHARES = ((0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"))
Line = tuple[str, list[tuple[float, float]]]


def svg(parts: Sequence[Part]) -> str:
    """One panel for each distribution of latencies, and one for each flood as it went on."""
    panels = []
    for scenario in dict.fromkeys(part.scenario for part in parts):
        of_it = [(part, part.runs[-1]) for part in parts if part.scenario == scenario]
        curves = [
            (_name(name, part, len(of_it)), points)
            for part, run in of_it
            for name, points in run.curves.items()
            if points
        ]
        if curves:
            panels.append(_distribution(of_it[0][0].title, curves))
        timelines = [(_name("send to push", part, len(of_it)), run.timeline) for part, run in of_it]
        if any(points for _, points in timelines):
            panels.append(_timeline(f"{scenario}: send to push by the time of sending", timelines))
    height = HEIGHT * max(1, math.ceil(len(panels) / COLUMNS))
    placed = (
        f'<g transform="translate({n % COLUMNS * WIDTH},{n // COLUMNS * HEIGHT})">{panel}</g>'
        for n, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * COLUMNS}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(placed)}</svg>\n"
    )


def _name(name: str, part: Part, of: int) -> str:
    return f"{name}, {part.url}" if of > 1 else name


def _tick(power: int) -> str:
    return f"{10 ** (power - 3)} s" if power >= 3 else f"{10**power:g} ms"


def _distribution(title: str, lines: Sequence[Line]) -> str:
    """Milliseconds by share of the messages. To the right each nine takes as much room as the one before."""

    def x(share: float) -> float:
        return min(1.0, -math.log10(max(1 - share, 1e-4)) / 3.5)

    return _panel(title, lines, x, [(x(share), label) for share, label in SHARES], joined=True)


def _timeline(title: str, lines: Sequence[Line]) -> str:
    last = max(second for _, points in lines for second, _ in points) or 1.0
    ticks = [(tick / 4, f"{last * tick / 4:.0f} s") for tick in range(5)]
    return _panel(title, lines, lambda second: second / last, ticks, joined=False)


def _panel(
    title: str,
    lines: Sequence[Line],
    x: Callable[[float], float],
    ticks: Sequence[tuple[float, str]],
    joined: bool,
) -> str:
    values = [max(value, 0.1) for _, points in lines for _, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.01))
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(point: tuple[float, float]) -> tuple[float, float]:
        share = (math.log10(max(point[1], 0.1)) - low) / (high - low)
        return round(LEFT + x(point[0]) * wide, 1), round(TOP + (1 - share) * tall, 1)

    def drawn() -> Iterator[str]:
        yield f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>'
        for power in range(low, high + 1):
            y = TOP + (1 - (power - low) / (high - low)) * tall
            yield f'<path d="M{LEFT} {y:.1f}h{wide}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_tick(power)}</text>'
        for place, label in ticks:
            yield f'<text x="{LEFT + place * wide:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{label}</text>'
        for number, (name, points) in enumerate(lines):
            colour = COLOURS[number % len(COLOURS)]
            yield f'<text x="{LEFT + 8}" y="{TOP + 12 + 13 * number}" fill="{colour}">{escape(name)}</text>'
            if joined:
                path = " ".join(f"{a},{b}" for a, b in map(at, points))
                yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            else:
                yield from (
                    f'<circle cx="{a}" cy="{b}" r="1.5" fill="{colour}"/>' for a, b in map(at, points)
                )

    return "".join(drawn())
