"""The tutorial, done as its reader does it: its files, its commands, two terminals, a real Ringpost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from infra.local.ports import free_port
from tests.api.people import Server
from tests.docs.running import running
from tests.docs.tables import ROOT
from tests.docs.terminal import Terminal, commands, files
from tests.patience import PATIENCE_S
from tests.web.server import StageServer

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
MAKE_FOLDER, SERVE, SIGN_IN, ANN, BOB = commands(PAGE)
pytestmark = [
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.timeout(900),
]

Start = Callable[[str], Terminal]


@pytest.fixture
def ringpost(engines, unique, tmp_path) -> Iterator[tuple[StageServer, str]]:
    """Workers, and an API that can be killed and comes back at the same address; the admin key."""
    (tmp_path / "ringpost").mkdir()
    with running(engines, unique, tmp_path / "ringpost") as started:
        api = StageServer(started, tmp_path)
        try:
            api.start()
            yield api, started.admin_key
        finally:
            api.stop()


@pytest.fixture
def folder(ringpost, tmp_path) -> Path:
    """The folder of Ringpost as the tutorial sees it, with the two files that it says to write."""
    api, _ = ringpost
    (tmp_path / ".venv").symlink_to(sys.prefix)
    making = Terminal(MAKE_FOLDER, tmp_path)
    making.ended()
    making.kill()
    port = str(free_port())
    for name, content in files(PAGE).items():
        text = content.replace("http://127.0.0.1:8080", api.url).replace("9000", port)
        (tmp_path / name).write_text(text)
    (tmp_path / "port").write_text(port)
    return tmp_path


@pytest.fixture
def start(ringpost, folder) -> Iterator[Start]:
    """Runs a block in a terminal of its own, which is closed in the end."""
    port = (folder / "port").read_text()
    with ExitStack() as closing:

        def run(block: str) -> Terminal:
            block = block.replace("KEY=...", f"KEY={ringpost[1]}").replace("9000", port)
            terminal = Terminal(block, folder)
            closing.callback(terminal.kill)
            return terminal

        yield run


def shown(terminal: Terminal) -> list[str]:
    """What was said, without what the program says of its connection."""
    return [line for line in terminal.lines if not line.startswith("(")]


def saved(folder: Path, user: str, cursor: int, drafts: int = 0) -> None:
    """Waits until the client has saved this cursor, and so many messages that are to be sent."""
    file = folder / "tutorial" / f"{user}.json"
    give_up = time.monotonic() + PATIENCE_S
    while True:
        kept, unsent = json.loads(file.read_text())
        if (kept, len(unsent)) == (cursor, drafts):
            return
        assert time.monotonic() < give_up, f"{user} has saved {kept}, {unsent}"
        time.sleep(0.05)


def test_two_people_chat_and_nothing_is_lost_or_doubled_when_things_break(ringpost, folder, start):
    api, _ = ringpost
    start(SERVE).until("The server is ready.")
    assert json.loads(start(SIGN_IN).ended()[0])["token"]
    ann, bob = start(ANN), start(BOB)
    for terminal in (ann, bob):
        terminal.until("(connected)")

    ann.type("Hello Bob")
    bob.until("ann: Hello Bob")
    bob.type("Hello Ann")
    ann.until("bob: Hello Ann")
    saved(folder, "bob", 2)

    bob.kill()
    for line in ("one", "two", "three"):
        ann.type(line)
    ann.until("ann: three")
    bob = start(BOB)
    bob.until("ann: three")
    assert shown(bob) == ["ann: one", "ann: two", "ann: three"]
    saved(folder, "ann", 5)

    api.kill()
    ann.until("(away, trying again)")
    ann.type("while nobody listens")
    saved(folder, "ann", 5, drafts=1)
    ann.kill()
    ann = start(ANN)
    api.start()
    bob.until("ann: while nobody listens")
    ann.until("ann: while nobody listens")
    bob.type("the end")
    ann.until("bob: the end")
    bob.until("bob: the end")
    assert shown(bob) == ["ann: one", "ann: two", "ann: three", "ann: while nobody listens", "bob: the end"]
    assert shown(ann) == ["ann: while nobody listens", "bob: the end"]


def test_a_wrong_password_is_said(folder, start):
    start(SERVE).until("The server is ready.")
    assert start(ANN.replace("apple", "pear")).ended() == ["The user or the password is wrong."]


def test_what_is_said_in_a_group_stands_in_no_chat_of_two(ringpost, folder, start):
    api, admin_key = ringpost
    start(SERVE).until("The server is ready.")
    with httpx.Client(base_url=api.url, timeout=70) as http:
        server = Server(api.url, admin_key, http)
        ann, bob = (server.person(user, "phone") for user in ("ann", "bob"))
        ann.send(ann.group(bob, title="Lunch"), "to the group")
        ann.send(ann.direct(bob), "to bob alone")
    terminal = start(BOB)
    terminal.until("ann: to bob alone")
    saved(folder, "bob", 2)
    assert shown(terminal) == ["ann: to bob alone"]


def test_a_user_who_does_not_exist_is_said(folder, start):
    start(SERVE).until("The server is ready.")
    assert start(ANN.replace("apple bob", "apple bobby")).ended() == ["There is no user bobby."]


def test_a_wrong_admin_key_is_said(folder, start):
    assert start(SERVE.replace("KEY=...", "KEY=wrong")).ended() == ["The admin key is wrong."]


def test_the_page_begins_from_nothing_and_has_both_programs():
    assert set(files(PAGE)) == {"tutorial/server.py", "tutorial/chat.py"}
    assert "make up" in PAGE.split("## ")[0]
