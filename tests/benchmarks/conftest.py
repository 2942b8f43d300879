from __future__ import annotations

import pytest

from tests.docs.running import running


@pytest.fixture
def ringpost(engines, unique, tmp_path):
    with running(engines, unique, tmp_path) as started:
        yield started
