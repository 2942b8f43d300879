"""The pace of a worker: what it serves in a second of its own work."""

from __future__ import annotations

ENOUGH = 100
"""A batch of fewer recipients takes the time of a few round trips, so it says nothing about the pace."""

HALF_LIFE = 2_000
"""After so many recipients a measurement has half of its weight."""


class Pace:
    """Recipients a second, measured while the worker handles large batches. Recent ones weigh more."""

    def __init__(self) -> None:
        self._recipients = 0.0
        self._worked_s = 0.0
        self.was_large = False
        """Whether the last batch was large enough to be measured."""

    def took(self, recipients: int, worked_s: float) -> None:
        """A batch with so many recipients took so long."""
        self.was_large = recipients >= ENOUGH
        if self.was_large:
            fading = 0.5 ** (recipients / HALF_LIFE)
            self._recipients = self._recipients * fading + recipients
            self._worked_s = self._worked_s * fading + worked_s

    @property
    def value(self) -> float:
        """0.0 while it is unknown."""
        return self._recipients / self._worked_s if self._worked_s else 0.0
