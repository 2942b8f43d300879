"""One inbox out of two sources: what a socket pushes and what `GET /v1/sync` answers.

It does no I/O. The caller hands over what it receives, shows what comes out, and pulls when told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Entry = Mapping[str, Any]
"""An entry as the server writes it; `seq` is its number."""

AHEAD = 1_000


class Taken(NamedTuple):
    """The result of handing over entries.

    `entries` follow the cursor in order. Each is given out once. `dropped` counts entries that were dropped
    because too many wait behind a gap. They are those farthest ahead, and a pull brings them again.
    """

    entries: list[Entry]
    dropped: int


class Inbox:
    """Gives out each entry once, in order of seq. Both sources may bring it, more than once, in any order.

    Entries beyond a gap wait, at most `ahead` of them, until the missing ones have come. Nothing is skipped:
    `cursor` is always the last of an unbroken run. It counts the entries that were given out, so the caller
    must store entries and cursor together.
    """

    def __init__(self, cursor: int, ahead: int = AHEAD) -> None:
        self._cursor = cursor
        self._most_ahead = ahead
        self._ahead: dict[int, Entry] = {}
        self._missed = cursor  # up to here there are entries, and nothing that is under way brings them
        self._told_at = -1  # where the cursor stood when a head beyond it was told last

    @property
    def cursor(self) -> int:
        """The seq of the last entry given out. All entries up to it were given out."""
        return self._cursor

    @property
    def pull_from(self) -> int | None:
        """The cursor to pull from, because something is missing. None if nothing seems to be missing."""
        return self._cursor if self._missed > self._cursor else None

    def pushed(self, entries: Iterable[Entry]) -> Taken:
        """Take the entries of a frame. A gap before one of them calls for a pull."""
        for entry in entries:
            seq = int(entry["seq"])
            if seq > self._cursor:
                self._ahead.setdefault(seq, entry)
        return self._taken()

    def pulled(self, entries: Iterable[Entry], head: int) -> Taken:
        """Take a page. It calls for the next page until the head of the page is reached."""
        self._missed = max(self._missed, head)
        return self.pushed(entries)

    def told(self, head: int) -> None:
        """Take the head of a `welcome` or `heartbeat` frame.

        Entries up to a head beyond the cursor may be on their way. If such a head comes twice and no entry
        between, they are not: this calls for a pull.
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
