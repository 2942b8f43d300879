"""What is read from the stores means what the product means by it."""

from __future__ import annotations

import pytest

from tests.torture.collect import stay
from tests.torture.facts import FOR_EVER


@pytest.mark.parametrize(
    ("low", "high", "first", "behind"),
    [
        (3, 8, 3, 8),
        (3, None, 3, FOR_EVER),
        (3, -1, 3, FOR_EVER),
        (-1, None, FOR_EVER, FOR_EVER),
        (-1, -1, FOR_EVER, FOR_EVER),
    ],
)
def test_change_that_was_begun_and_not_finished_does_not_hold(low, high, first, behind):
    assert stay(low, high) == (first, behind)
