"""Admission by work: how much waits for the worker inbox, and whether one more send may join it."""

from __future__ import annotations

import asyncio
import math

from domain.errors import Overloaded

PACE = 5_000.0
"""Recipients that inbox is taken to serve in a second, until it has measured that."""

WORK_S = 60.0
LEAST_S = 0.2
"""Seconds of work before it with which a send is admitted: `WORK_S` by its recipients, but at least this."""

FEW = 2_000
"""While no more recipients wait, a send is admitted, however slow inbox is: its first batches are."""

HEAVY_S = 0.1
"""Well below `LEAST_S`: what is served has to be seen before more is refused."""


class Backlog:
    """The recipients of what this process has admitted and inbox has not put into their timelines yet.

    The more recipients a message has, the earlier it is refused. So a flood in a large group is refused
    while direct messages beside it still pass, and they wait a fraction of a second. Inbox itself measures
    its pace.
    """

    def __init__(self) -> None:
        self.recipients = 0
        self.heavy = asyncio.Event()
        """Set while so much waits that its progress is worth many looks."""
        self._pace = PACE

    @property
    def seconds(self) -> float:
        """How long inbox works on what waits."""
        return self.recipients / self._pace

    def check(self, recipients: int) -> None:
        """Raises Overloaded when a message with so many recipients has to wait."""
        room_s = max(WORK_S / max(1, recipients), LEAST_S)
        if self.seconds > room_s and self.recipients > FEW:
            raise Overloaded(
                "Too many recipients are waiting for messages.",
                retry_after_s=math.ceil(self.seconds - room_s),
            )

    def enter(self, recipients: int) -> None:
        self._change(recipients)

    def leave(self, recipients: int) -> None:
        """They are served, or somebody else's work now."""
        self._change(-recipients)

    def served(self, recipients: int, pace: float) -> None:
        """At a look at inbox: what it has served since the look before, and its pace, or 0.0."""
        self._pace = pace or self._pace
        self._change(-recipients)

    def _change(self, by: int) -> None:
        self.recipients += by
        if self.seconds > HEAVY_S:
            self.heavy.set()
        else:
            self.heavy.clear()
