from __future__ import annotations

import pytest

from consumers.pace import ENOUGH, HALF_LIFE, Pace


def test_pace_is_recipients_by_seconds_of_work():
    pace = Pace()
    assert pace.value == 0.0
    pace.took(ENOUGH, 0.1)
    assert pace.value == pytest.approx(ENOUGH / 0.1)
    pace.took(3 * ENOUGH, 0.1)
    assert pace.value == pytest.approx(2 * ENOUGH / 0.1, rel=0.05)


def test_small_batches_say_nothing():
    """They take the time of the round trips, however few recipients they have."""
    pace = Pace()
    pace.took(ENOUGH, 0.01)
    for _ in range(1_000):
        pace.took(ENOUGH - 1, 1.0)
    assert pace.value == pytest.approx(ENOUGH / 0.01)


def test_pace_of_yesterday_is_forgotten():
    pace = Pace()
    for _ in range(100):
        pace.took(10 * HALF_LIFE, 1.0)
    for _ in range(10):
        pace.took(HALF_LIFE, 1.0)
    assert pace.value == pytest.approx(HALF_LIFE, rel=0.02)
