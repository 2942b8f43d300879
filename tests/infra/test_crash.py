"""What is said of a point at which a process cannot be told to die."""

from __future__ import annotations

import pytest

from infra.crash import arm
from infra.settings import DebugSettings, SettingsError


@pytest.mark.parametrize("crash_at", ["nowhere", "stored:x", "stored:²", "stored:-1"])
def test_wrong_point_is_answered_by_those_that_exist(crash_at):
    with pytest.raises(
        SettingsError, match=r"^RINGPOST_DEBUG_CRASH_AT must be one of numbered, .*\. Add `:3`"
    ):
        arm(DebugSettings(crash_at=crash_at))
