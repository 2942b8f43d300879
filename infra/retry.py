"""Waiting between tries: exponential, with full jitter, bounded."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff_s(first_s: float = 0.05, most_s: float = 5.0) -> Iterator[float]:
    """Endless waits in seconds. Each is random, between 0 and a bound that doubles from `first_s` to
    `most_s`.

    "Full jitter" of M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015.
    """
    bound = first_s
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, most_s)
