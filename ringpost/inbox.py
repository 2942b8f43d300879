"""One inbox out of two sources: what a socket pushes and what `GET /v1/sync` answers.

No I/O: the caller hands over what it hears, shows what comes out, and pulls when told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Entry = Mapping[str, Any]
"""An entry as the server writes it; `seq` is its number."""

AHEAD = 1_000


class Taken(NamedTuple):
    """What became of entries that were handed over.

    `entries` follow the cursor in order, each given out once. `dropped` tells how many were let go of
    because too many wait behind a hole: the farthest ahead, which a pull brings again.
    """

    entries: list[Entry]
    dropped: int


class Inbox:
    """Gives out each entry once, in order of seq, whichever source brings it, how often and in what order.

    Entries beyond a hole wait, at most `ahead` of them, until what is missing has come. Nothing is
    skipped: `cursor` is always the last of an unbroken run. It stands for what was given out, so the
    caller stores the two together.
    """

    def __init__(self, cursor: int, ahead: int = AHEAD) -> None:
        self._cursor = cursor
        self._most_ahead = ahead
        self._ahead: dict[int, Entry] = {}
        self._missed = cursor  # up to here there are entries, and nothing that is under way brings them
        self._told_at = -1  # where the cursor stood when a head beyond it was told last

    @property
    def cursor(self) -> int:
        """The seq of the last entry given out: all up to it were."""
        return self._cursor

    @property
    def pull_from(self) -> int | None:
        """The cursor to pull from, because something is missing; None if nothing is known to be."""
        return self._cursor if self._missed > self._cursor else None

    def pushed(self, entries: Iterable[Entry]) -> Taken:
        """Entries out of a frame. A hole before one of them calls for a pull."""
        for entry in entries:
            seq = int(entry["seq"])
            if seq > self._cursor:
                self._ahead.setdefault(seq, entry)
        return self._taken()

    def pulled(self, entries: Iterable[Entry], head: int) -> Taken:
        """A page. The next one is called for until the head of the page is reached."""
        self._missed = max(self._missed, head)
        return self.pushed(entries)

    def told(self, head: int) -> None:
        """The head out of a `welcome` or `heartbeat` frame.

        One that lies beyond the cursor may be on its way. Told again with nothing come in between,
        it is not: that calls for a pull.
        """
        if head > self._cursor:
            if self._told_at == self._cursor:
                self._missed = max(self._missed, head)
            self._told_at = self._cursor

    def _taken(self) -> Taken:
        following = []
        while (entry := self._ahead.pop(self._cursor + 1, None)) is not None:
            following.append(entry)
            self._cursor += 1
        if self._ahead:
            self._missed = max(self._missed, *self._ahead)
        farthest = sorted(self._ahead)[self._most_ahead :]
        for seq in farthest:
            del self._ahead[seq]
        return Taken(following, len(farthest))
