"""The catalogue of deliberate breakages: `catalogue.toml`, read and typed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Mutation(Struct, frozen=True, forbid_unknown_fields=True):
    """`old` stands once in `file`; with `new` in its place, at least one of `tests` must fail.

    `breaks` says which promise is broken; `invariant` is its number, or "" for one of the contract.
    A test that does not end has failed only where that is what the breakage does (`hangs`).
    """

    name: str
    invariant: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]
    hangs: bool = False

    def applied_to(self, text: str) -> str | None:
        """The broken text; None when `old` does not stand there exactly once."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def read_catalogue() -> list[Mutation]:
    found = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text())
    return msgspec.convert(found["mutation"], list[Mutation])
