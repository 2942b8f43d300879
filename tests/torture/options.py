"""What a run is asked to do. With the seed it decides the whole plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODES = {
    "kill": "kill -9 of a part",
    "pause": "SIGSTOP of a part, for up to longer than its lease and session, then SIGCONT",
    "stop": "SIGTERM of a part, or of all of one kind one after the other",
    "mongo": "kill -9 of MongoDB, restarted on its data",
    "kafka": "kill -9 of Kafka, restarted on its data",
    "redis": "kill -9 of Redis, restarted empty",
    "flush": "FLUSHALL in Redis",
    "cut": "the network between one part and one engine, refused or stalled",
    "clock": "the wall clock of a part jumps by minutes or hours",
    "disk": "the disk of MongoDB is full",
}
ROLES = ("api", "inbox", "push", "relay")
PARTS = tuple(f"{role}-{number}" for role in ROLES for number in (1, 2))
ENGINES = ("mongo", "kafka", "redis")
LONGER = 10


@dataclass(frozen=True)
class Options:
    """`modes` empty: nothing breaks, the baseline.

    `every_s`: one fault each so many seconds, instead of at random; `lasts_s`: each for so long.
    `faults`: the traffic goes on until so many are mended, for `longest_s` at most: on a slow machine
    fewer of them fit into `seconds`.
    """

    modes: tuple[str, ...] = ()
    seed: int = 1
    seconds: float = 60.0
    rate: float = 60.0
    users: int = 30
    every_s: float | None = None
    lasts_s: float | None = None
    faults: int = 0
    replay: bool = True
    report: Path | None = None
    as_json: bool = False

    @property
    def longest_s(self) -> float:
        """Seconds for which there is a plan of sends, changes and faults."""
        return LONGER * self.seconds if self.faults else self.seconds


def modes_of(text: str) -> tuple[str, ...]:
    """`kill,flush`, `all`, `none` → modes in the order of the table. Raises ValueError for another word."""
    words = {word.strip() for word in text.split(",") if word.strip()}
    if unknown := words - set(MODES) - {"all", "none"}:
        raise ValueError(
            f"there is no mode {', '.join(sorted(unknown))}; there are {', '.join(MODES)}, all, none"
        )
    if "none" in words and len(words) > 1:
        raise ValueError("none stands alone")
    return tuple(mode for mode in MODES if mode in words or "all" in words)
