"""One seeded run in which everything breaks, on engines of its own: it kills them.

RINGPOST_TEST_SEED chooses another seed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture import clock, disk
from tests.torture.options import MODES, Options
from tests.torture.page import page_of
from tests.torture.report import report_of, text_of
from tests.torture.run import run

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.own_engines]
SEED = 183
FAULTS = 3


def possible_here() -> tuple[str, ...]:
    left_out = set() if clock.faketime() else {"clock"}
    if not disk.may_mount():
        left_out.add("disk")
    return tuple(mode for mode in MODES if mode not in left_out)


@pytest.mark.timeout(1500)
async def test_nothing_is_lost_and_nothing_comes_twice_whatever_breaks(tmp_path: Path) -> None:
    seed = int(os.environ.get("RINGPOST_TEST_SEED") or SEED)
    options = Options(possible_here(), seed=seed, seconds=24, rate=20, users=8, faults=FAULTS)
    done = await run(options, tmp_path)
    report = report_of(done)
    assert report["ok"], text_of(report)
    assert report["replayed"]
    assert len(report["faults"]) >= FAULTS
    assert report["acknowledged"] > 200
    assert set(report["done_beside_sends"]) >= {"edit", "recall", "react", "pin", "read", "settings", "hide"}
    assert report["recalled"] > 0
    assert report["entries_received"] > report["entries"] > report["stored"] >= report["acknowledged"]
    assert "Nothing lost, nothing twice." in page_of(done, report)
