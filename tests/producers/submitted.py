"""What a send path hands over to be spread."""

from __future__ import annotations

from collections.abc import Sequence

from infra.mongo.rows import Row
from producers.records import Spreadable
from producers.spread import Spreader


class Noting(Spreader):
    """The real one, which notes the messages of each row that it is given."""

    def __init__(self, *made) -> None:
        super().__init__(*made)
        self.submitted: list[Sequence[Spreadable]] = []

    def submit(self, row: Row, items: Sequence[Spreadable]) -> None:
        self.submitted.append(items)
        super().submit(row, items)
