"""The lease of this process on its outbox rows: it numbers them, and gives up those that it cannot spread."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence

from domain.clock import now_ms
from domain.errors import Overloaded, RingpostError
from infra.mongo.outbox import OutboxStore
from infra.mongo.rows import Place, Row, RowId
from infra.settings import OutboxSettings
from infra.telemetry.logs import logger

COUNTING = 0.05
"""The most of its time that counting the rows may take."""


class Lease:
    """Until it ends or runs out, the rows written under it are this process's to spread.

    A row that is given up goes to the relay with the next `look_after`. It may be given up at any time, also
    if it was never written: what it announces is then stored later or never, and the relay looks for it.
    """

    def __init__(self, outbox: OutboxStore, settings: OutboxSettings, owner_prefix: str = "") -> None:
        self.owner = owner_prefix + secrets.token_hex(6)
        self._outbox = outbox
        self._settings = settings
        self._numbered = 0
        self._rows = 0
        self._count_at = 0.0
        self._renew_at = 0.0
        self._given_up: dict[RowId, Row | None] = {}

    def new_row(self, places: Sequence[Place]) -> Row:
        """A row that announces messages at these places, not yet written."""
        self._numbered += 1
        return Row(RowId(self.owner, self._numbered), now_ms(), list(places))

    def check_room(self) -> None:
        """Raises Overloaded when the outbox is full, as it was counted last with what was given up since."""
        if self._rows + len(self._given_up) >= self._settings.rows:
            raise Overloaded("Too many messages are waiting for Kafka.")

    def give_up(self, row: Row) -> None:
        """Leave to the relay what this row announces."""
        self._given_up[row.row_id] = row

    def give_up_written(self, rows: Iterable[RowId]) -> None:
        """Leave rows to the relay as they stand in the outbox."""
        for row_id in rows:
            self._given_up.setdefault(row_id)

    async def begin(self) -> None:
        """Call before the first row is written. Raises Unavailable."""
        self._renew_at = time.monotonic() + self._settings.lease_s / 3
        await self._outbox.renew_lease(self.owner, self._settings.lease_s)

    async def look_after(self) -> None:
        """Renew the lease when it is time, hand over what was given up, and count. Raises Unavailable."""
        if time.monotonic() > self._renew_at:
            await self.begin()
        await self._hand_over()
        if time.monotonic() > self._count_at:
            began = time.monotonic()
            self._rows = await self._outbox.count(self._settings.rows)
            self._count_at = began + (time.monotonic() - began) / COUNTING

    async def _hand_over(self) -> None:
        rows, self._given_up = self._given_up, {}
        whole = [row for row in rows.values() if row is not None]
        try:
            if rows:
                await self._outbox.give_up([one for one, row in rows.items() if row is None], whole)
        except RingpostError:
            self._given_up = rows | self._given_up
            raise

    async def end(self) -> None:
        """The relay gets all rows that are left, at once."""
        try:
            await self._hand_over()
            await self._outbox.end_lease(self.owner)
        except RingpostError as error:
            logger().warning("could not end the lease", error=error.message)
