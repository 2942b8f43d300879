from __future__ import annotations

import secrets

import pytest

from tests.docs.running import running


@pytest.fixture(scope="module")
def ringpost(engines, tmp_path_factory):
    """One for a whole file: every run of the generator makes users of its own."""
    with running(engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("ringpost")) as started:
        yield started
