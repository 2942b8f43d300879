"""Admission by work: how much waits for the worker inbox, and whether one more send may join it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from domain.errors import Overloaded

PACE = 5_000.0
"""Recipients a second that inbox is taken to serve until its pace is known."""

WORK_S = 60.0
LEAST_S = 0.3
"""Seconds of work before it with which a send is admitted: `WORK_S` by its recipients, but at least this."""

HEAVY_S = 0.25
MEASURED_S = 1.0


class Backlog:
    """The recipients of what this process has admitted and inbox has not put into their timelines yet.

    The more recipients a message has, the earlier it is refused. So a flood in a large group is refused
    while direct messages beside it still pass, and they wait a fraction of a second. The pace of inbox is
    measured while it has more to do than it can.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.recipients = 0
        self._now = now
        self._pace = PACE
        self._since = now()
        self._served = 0

    @property
    def seconds(self) -> float:
        """How long inbox works on what waits."""
        return self.recipients / self._pace

    @property
    def heavy(self) -> bool:
        """Whether so much waits that its progress is worth many looks."""
        return self.seconds > HEAVY_S

    def check(self, recipients: int) -> None:
        """Raises Overloaded when a message with so many recipients has to wait."""
        room_s = max(WORK_S / max(1, recipients), LEAST_S)
        if self.seconds > room_s:
            raise Overloaded(
                "Too many recipients are waiting for messages.",
                retry_after_s=math.ceil(self.seconds - room_s),
            )

    def enter(self, recipients: int) -> None:
        self.recipients += recipients

    def leave(self, recipients: int) -> None:
        """They are served, or somebody else's work now."""
        self.recipients -= recipients

    def served(self, recipients: int) -> None:
        """At a look at inbox: it has served so many since the look before."""
        busy = self.heavy
        self.recipients -= recipients
        self._served += recipients
        if not (busy and self.heavy):  # it was not busy all the time
            self._since, self._served = self._now(), 0
        elif (took := self._now() - self._since) > MEASURED_S:
            self._pace = max(1.0, (self._pace + self._served / took) / 2)
            self._since, self._served = self._now(), 0
