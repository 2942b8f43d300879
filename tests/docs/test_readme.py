"""The README's lines, pasted one after the other into a shell, against a whole Ringpost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.docs.running import running
from tests.docs.tables import README, ROOT
from tests.patience import PATIENCE_S


def blocks():
    """The shell blocks that are to be pasted, in their order."""
    found = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if "listen" not in block]


@pytest.fixture
def ringpost(engines, unique, tmp_path):
    with running(engines, unique, tmp_path) as started:
        yield started


def pasted(ringpost):
    """The JSON that each block printed; a block that fails ends it."""
    lines = ["set -euo pipefail", 'curl() { command curl --fail --show-error "$@"; }']
    for block in blocks():
        lines += [block.rstrip("\n"), "printf '\\n\\036\\n'"]
    script = "\n".join(lines).replace("http://127.0.0.1:8080", ringpost.url)
    script = script.replace("ADMIN_KEY=...", f"ADMIN_KEY={ringpost.admin_key}")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    ended = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [json.loads(text) for text in ended.stdout.split("\036") if text.strip()]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_every_line_does_what_the_text_around_it_says(ringpost):
    ann, bob, sent, pulled, answered, also, noon, history, listed = pasted(ringpost)
    assert (ann["name"], bob["name"]) == ("Ann", "Bob")
    (hello,) = pulled["entries"]
    assert hello["message"]["message_id"] == sent["message_id"]
    assert hello["message"]["body"] == {"text": "Hello Bob"}
    assert pulled["cursor"] == 1
    (back,) = also["entries"]
    assert back["seq"] == 2
    assert back["message"]["message_id"] == answered["message_id"]
    assert [message["message_id"] for message in history["messages"]] == [noon["message_id"]]
    assert [row["title"] for row in listed["conversations"]] == ["Lunch", None]


def test_begins_with_one_sentence_and_the_command():
    title, sentence, *_ = README.read_text().split("\n\n")
    assert title == "# Ringpost"
    assert sentence.count(". ") == 0
    assert "make up" in README.read_text().split("## ")[1]
