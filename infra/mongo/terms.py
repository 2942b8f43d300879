"""What is said to MongoDB and heard of it: documents, filters, changes, and refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Document = dict[str, Any]
Filter = Mapping[str, Any]
Change = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Duplicate(Exception):
    """A unique index refused a document. `by_id`: it was the collection's own `_id`."""

    def __init__(self, by_id: bool) -> None:
        super().__init__("_id" if by_id else "unique index")
        self.by_id = by_id


class Refused(NamedTuple):
    """Which document of an `insert_many` a unique index refused."""

    at: int
    by_id: bool


class Write(NamedTuple):
    """A change of all that match, or their removal. With `upsert`, one document is put in if none does."""

    where: Filter
    change: Change | None = None
    upsert: bool = False
