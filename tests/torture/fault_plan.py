"""Which fault when, and to whom. Pure."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.torture.options import ENGINES, PARTS, ROLES

HEAL_S = (3.0, 6.0)
"""Between two moments of breaking there is a time to heal."""
LASTS_S = {
    "kill": (0.1, 2.0),
    "pause": (0.5, 10.0),
    "stop": (0.1, 1.0),
    "mongo": (0.5, 5.0),
    "kafka": (0.5, 5.0),
    "redis": (0.5, 5.0),
    "flush": (0.0, 0.0),
    "cut": (1.0, 8.0),
    "clock": (2.0, 8.0),
    "disk": (2.0, 5.0),
}
JUMPS_S = (-7_200, -3_700, -600, -90, 90, 600, 3_700, 7_200, 36_000)


class Fault(NamedTuple):
    """`target`: a part, a role, or an engine; `how` says more. `lasts_s` until it is mended, the
    time that a process takes to start not included."""

    at_s: float
    lasts_s: float
    mode: str
    target: str
    how: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.mode, self.target, self.how) if word)


def plan_faults(
    rng: random.Random, modes: tuple[str, ...], begin_s: float, end_s: float
) -> tuple[Fault, ...]:
    """One or two at a time, then a pause; all of them mended before `end_s`. Every mode has its turn
    before one has its second."""
    faults: list[Fault] = []
    at = begin_s + rng.uniform(0.0, 2.0)
    turns: list[str] = []
    while modes:
        together: list[Fault] = []
        for _ in range(2 if len(modes) > 1 and rng.random() < 0.3 else 1):
            if not turns:
                turns = rng.sample(modes, len(modes))
            fault = _fault(rng, turns.pop(), at + rng.uniform(0.0, 1.0))
            if not any(_clash(fault, other) for other in together):
                together.append(fault)
        ends = max(fault.at_s + fault.lasts_s for fault in together)
        if ends > end_s:
            break
        faults += together
        at = ends + rng.uniform(*HEAL_S)
    return tuple(sorted(faults))


def regular_faults(
    rng: random.Random, modes: tuple[str, ...], begin_s: float, end_s: float, every_s: float
) -> tuple[Fault, ...]:
    """One of each mode in turn, every so many seconds, none after `end_s`."""
    count = int((end_s - begin_s) / every_s) + 1 if modes else 0
    return tuple(_fault(rng, modes[n % len(modes)], begin_s + n * every_s) for n in range(count))


def _fault(rng: random.Random, mode: str, at_s: float) -> Fault:
    lasts_s = rng.uniform(*LASTS_S[mode])
    match mode:
        case "kill" | "pause":
            return Fault(at_s, lasts_s, mode, rng.choice(PARTS))
        case "stop":
            return Fault(at_s, lasts_s, mode, rng.choice(PARTS if rng.random() < 0.5 else ROLES))
        case "cut":
            how = f"{rng.choice(('refused', 'stalled'))} to {rng.choice(ENGINES)}"
            return Fault(at_s, lasts_s, mode, rng.choice(PARTS), how)
        case "clock":
            return Fault(at_s, lasts_s, mode, rng.choice(PARTS), f"{rng.choice(JUMPS_S):+d}")
        case "flush":
            return Fault(at_s, lasts_s, mode, "redis")
        case "disk":
            return Fault(at_s, lasts_s, mode, "mongo")
        case _:
            return Fault(at_s, lasts_s, mode, mode)


def _clash(one: Fault, other: Fault) -> bool:
    """Two faults of one target, or a part inside a role, would mend each other."""
    return one.target.startswith(other.target) or other.target.startswith(one.target)
