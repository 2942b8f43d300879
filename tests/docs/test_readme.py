"""The README's lines, pasted one after the other into a shell, against a whole Ringpost."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.running import running
from tests.docs.tables import README, ROOT
from tests.patience import PATIENCE_S

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
]


def blocks():
    """The shell blocks that are to be pasted, in their order."""
    return BLOCK.findall(README.read_text())


@pytest.fixture(scope="module")
def ringpost(engines, tmp_path_factory):
    """One for all tests of this file. The first of them finds it without users."""
    with running(engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("readme")) as started:
        yield started


@pytest.fixture
def shell(ringpost, tmp_path):
    """What a terminal in the README's folder needs, to find this Ringpost instead of that of `make up`."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "RINGPOST_URL": ringpost.url,
        "RINGPOST_ADMIN_KEY": ringpost.admin_key,
        "RINGPOST_DATA_DIR": str(tmp_path),
    }

    def start(lines, admin_key=ringpost.admin_key):
        script = "\n".join(lines).replace("http://127.0.0.1:8080", ringpost.url)
        script = script.replace("ADMIN_KEY=...", f"ADMIN_KEY={admin_key}")
        script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        return subprocess.Popen(
            [shutil.which("bash") or "bash", "-c", script],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def pasted(shell, wanted):
    """The JSON that each of the blocks printed; a block that fails ends it."""
    lines = ["set -euo pipefail", 'curl() { command curl --fail "$@"; }']
    for block in wanted:
        lines += [block.rstrip("\n"), "printf '\\n\\036\\n'"]
    with shell(lines) as process:
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, printed + errors
    return [json.loads(text) for text in printed.split("\036") if text.strip()]


def test_every_line_does_what_the_text_around_it_says(shell):
    answers = pasted(shell, [block for block in blocks() if "listen" not in block])
    sent, pulled, answered, also, tablet, ann, bob, minted, noon, history, listed = answers
    (hello,) = pulled["entries"]
    assert hello["message"]["message_id"] == sent["message_id"]
    assert hello["message"]["body"] == {"text": "Hello Bob"}
    assert pulled["cursor"] == 1
    (back,) = also["entries"]
    assert back["seq"] == 2
    assert back["message"]["message_id"] == answered["message_id"]
    assert tablet["conversation_id"] == sent["conversation_id"]
    assert (ann["name"], bob["name"]) == ("Ann", "Bob")
    assert minted["token"]
    assert [message["message_id"] for message in history["messages"]] == [noon["message_id"]]
    names = [(row["title"], row.get("with", {}).get("name")) for row in listed["conversations"]]
    assert names == [("Lunch", None), (None, "Ann")]


def test_live_device_in_a_terminal_of_its_own_prints_what_is_sent_to_it(shell):
    first, *_ = users = [block for block in blocks() if "ANN=$(" in block]
    assert users == [first]
    (listen,) = [block for block in blocks() if "listen" in block]
    (send,) = [block for block in blocks() if "ringpost send" in block]
    assert "$BOB" not in listen
    assert "$ANN" not in listen
    pasted(shell, [first])
    with shell([f"exec env {listen}"]) as device:
        try:
            assert pasted(shell, [first, send])
            assert any(' ann: "Look at your tablet"' in line for line in device.stdout)
        finally:
            device.terminate()


@pytest.mark.parametrize("block", [block for block in blocks() if "ADMIN_KEY" in block and "curl" in block])
def test_line_that_the_api_refuses_shows_the_error_of_the_api(shell, block):
    given = [block for block in blocks() if block.startswith(("ADMIN_KEY", "pick"))]
    with shell([*given, "API=http://127.0.0.1:8080", block], admin_key="wrong") as process:
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert json.loads(printed or errors)["error"]["code"] == "unauthenticated"


def test_value_that_the_api_refused_shows_the_error_of_the_api(shell):
    pick, group = [block for block in blocks() if "pick" in block]
    with shell(["API=http://127.0.0.1:8080 ANN=wrong", pick, group]) as process:
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert printed == ""
    assert json.loads(errors)["error"]["code"] == "unauthenticated"


def test_begins_with_one_sentence_and_the_command():
    title, sentence, *_ = README.read_text().split("\n\n")
    assert title == "# Ringpost"
    assert sentence.count(". ") == 0
    assert "make up" in README.read_text().split("## ")[0]
