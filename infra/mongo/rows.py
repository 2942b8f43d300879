"""The outbox: rows that announce messages. A row stands in `messages`, and one insert carries both.

A row is `{_id: {c: "!writer", q: number}, k, at, r: [[conversation, seq], …]}`. No conversation has such an
id, so the rows of one writer are a key range of their own, in the order in which they were written. `k` is
the number once more, for the unique index. `o` is there once the row has left its writer: the relay that has
it, or `""` while no relay has it. `s` says that this relay has spread it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from domain.ids import ConversationId
from infra.mongo.terms import Document

Place = tuple[ConversationId, int]
"""A conversation and a seq: where a message stands."""

_FIRST, _BEHIND = "!", '"'
ROWS: Document = {"$gte": {"c": _FIRST}, "$lt": {"c": _BEHIND}}
"""The ids of all rows."""


class RowId(NamedTuple):
    writer: str
    number: int

    def __str__(self) -> str:
        return f"{self.writer}.{self.number}"


class Row(NamedTuple):
    """One group commit: where its messages stand."""

    row_id: RowId
    at_ms: int
    places: list[Place]


def document_of(row: Row) -> Document:
    return {
        "_id": key_of(row.row_id),
        "k": row.row_id.number.to_bytes(8, "big"),
        "at": row.at_ms,
        "r": [list(place) for place in row.places],
    }


def row_of(document: Document) -> Row:
    places = [(place[0], place[1]) for place in document["r"]]
    return Row(id_of(document), document["at"], places)


def id_of(document: Document) -> RowId:
    return RowId(document["_id"]["c"].removeprefix(_FIRST), document["_id"]["q"])


def key_of(row_id: RowId) -> Document:
    return {"c": _FIRST + row_id.writer, "q": row_id.number}


def is_row(document: Document) -> bool:
    """Whether a document of `messages` is a row, however damaged it is."""
    place = document["_id"]
    return isinstance(place, dict) and str(place.get("c")).startswith(_FIRST)


def ranges_of(rows: Iterable[RowId]) -> Iterator[Document]:
    """Filters that match these rows and no others: a closed range for each run of numbers.

    MongoDB answers `{_id: {$in: …}}` on a clustered collection by reading all of it.
    """
    ordered = sorted(set(rows))
    for _, run in groupby(enumerate(ordered), lambda one: (one[1].writer, one[1].number - one[0])):
        ids = [row_id for _, row_id in run]
        yield {"_id": {"$gte": key_of(ids[0]), "$lte": key_of(ids[-1])}}
