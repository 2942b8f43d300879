from __future__ import annotations

import secrets

import pytest

from tests.docs.running import running


@pytest.fixture(scope="module")
def ringpost(engines, tmp_path_factory):
    """One for a whole file: every run of the generator makes users of its own.

    A device that never reads answers no ping either. It is to be closed for what waits for it, also where a
    busy machine needs longer to send that than the server waits for the answer to a ping.
    """
    patient = {"RINGPOST_GATEWAY_PONG_TIMEOUT_S": "600"}
    with running(
        engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("ringpost"), **patient
    ) as started:
        yield started
