"""The description at /openapi.json is held against the running API."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.same_on_all_engines
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "413", "5xx"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "431"]

# What these ask for may name a person who is no member, a message of another conversation, or one that is not
# there yet, and what is an emoji no pattern can say. So a request of the right form may be a bad one.
[[operations]]
include-name = [
    "POST /v1/messages",
    "PATCH /v1/messages/{message_id}",
    "PUT /v1/messages/{message_id}/reactions/{key}",
    "DELETE /v1/messages/{message_id}/reactions/{key}",
    "PUT /v1/conversations/{conversation_id}/read",
    "PATCH /v1/conversations/{conversation_id}/me",
]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "413", "5xx"]
"""
PROGRAM = Path(sys.executable).with_name("schemathesis")


@pytest.mark.parametrize(
    "who, which, phases",
    [
        ("device", "--exclude-path-regex", "examples,coverage,fuzzing,stateful"),
        ("admin", "--include-path-regex", "examples,coverage,fuzzing"),  # no link leads to these calls
    ],
)
def test_what_the_description_says_is_so(server, ann, tmp_path, who, which, phases):
    notes = ann.direct(ann)
    for _ in range(5):
        ann.send(notes)  # so that a waiting pull from 0 or 1 has something to answer with
    ann.arrived(5)
    token = ann.token if who == "device" else server.admin_key
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [PROGRAM, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token}"]
    command += [
        which,
        "^/v1/(users|tokens)",
        "--checks",
        "all",
        "--max-examples",
        "50",
        "--no-color",
        "--phases",
        phases,
    ]
    command += ["--seed", "1", "--request-timeout", "70", "--generation-database", "none"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
