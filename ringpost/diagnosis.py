"""What a check of the whole database has read and found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

KEPT = 50
"""The most problems of one kind that are listed. All are counted."""


@dataclass(frozen=True)
class Problem:
    """One contradiction. `said` is a sentence. `seq` counts in the inbox or in the conversation."""

    kind: str
    said: str
    user_id: str | None = None
    conversation_id: str | None = None
    seq: int | None = None


@dataclass
class Diagnosis:
    """What the check has read, and what it has found."""

    messages: int = 0
    entries: int = 0
    users: int = 0
    waiting: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.kinds

    def add(self, problem: Problem) -> None:
        self.kinds[problem.kind] += 1
        if self.kinds[problem.kind] <= KEPT:
            self.problems.append(problem)

    def misfit(self, said: str) -> None:
        """A document that is not of the shape of its collection."""
        self.add(Problem("document", said))

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **msgspec.to_builtins(self)}

    def __str__(self) -> str:
        lines = [f"{problem.kind}: {problem.said}" for problem in self.problems]
        lines += [f"{kind}: {n - KEPT} more" for kind, n in self.kinds.items() if n > KEPT]
        read = f"{self.messages} messages, {self.entries} entries in the inboxes of {self.users} users"
        lines.append(f"Read {read}; {self.waiting} rows wait in the outbox.")
        found = sum(self.kinds.values())
        lines.append("Everything fits together." if self.ok else f"Found {found} problems.")
        return "\n".join(lines)
