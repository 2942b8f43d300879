"""Colours and progress are for a terminal; version and completion are for everybody."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from ringpost.output import table_of
from tests.docs.running import ROOT
from tests.ringpost.trouble import PATIENCE_S, answering, surroundings

ESCAPE = "\x1b["


def ringpost(*words: str) -> list[str]:
    return [sys.executable, "-m", "ringpost", *words]


def seen_on_a_terminal(words: list[str], environment: dict[str, str], until: str = "\n") -> str:
    """What the command writes to stderr, if that is a terminal, up to this text."""
    ours, its = pty.openpty()
    seen = ""
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=its) as process:
        os.close(its)
        try:
            while until not in seen:
                seen += os.read(ours, 4096).decode()
        except OSError:  # the end of a terminal that nobody has open any more
            pass
        finally:
            process.kill()
            os.close(ours)
    return seen


def test_table_shows_its_cells_as_they_are_written_and_steers_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(table_of(("error", "offset"), [("no [/such] thing [b]\x1b[31m", 7)]))
    assert isinstance(console.file, io.StringIO)
    assert "│ no [/such] thing [b]\ufffd[31m │ 7      │" in console.file.getvalue()


def test_what_went_wrong_is_red_on_a_terminal_only_and_not_where_no_color_is_set(tmp_path: Path) -> None:
    environment = surroundings(tmp_path, 9, TERM="xterm", RINGPOST_URL="nonsense")
    environment.pop("NO_COLOR", None)
    words = ringpost("pull")
    assert f"{ESCAPE}31m'nonsense' is not a URL" in seen_on_a_terminal(words, environment)
    plain = seen_on_a_terminal(words, environment | {"NO_COLOR": "1"})
    assert plain.startswith("'nonsense' is not a URL")
    piped = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert piped.stderr.startswith("'nonsense' is not a URL")
    assert piped.stderr.count("\n") == 1
    assert ESCAPE not in plain + piped.stderr


def test_what_takes_long_says_on_a_terminal_what_it_waits_for(tmp_path: Path) -> None:
    with answering("silence") as (port, _):
        environment = surroundings(tmp_path, port, TERM="xterm", RINGPOST_TIMEOUT_S=str(PATIENCE_S))
        seen = seen_on_a_terminal(ringpost("pull"), environment, until="0:00:02")
        assert f"Waiting for http://127.0.0.1:{port}" in seen
        piped = subprocess.run(
            ringpost("pull", "--timeout-s", "2"),
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    assert piped.stderr == f"No answer from http://127.0.0.1:{port}: it takes too long.\n"


def test_version() -> None:
    done = subprocess.run(
        ringpost("--version"), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout == f"ringpost {version('ringpost')}\n"


def test_completion_is_that_of_the_shell_that_asks() -> None:
    asks = ["bash", "-c", '"$@"; exit $?', "bash"]  # with one command alone, bash would become that command
    done = subprocess.run(
        [*asks, *ringpost("--show-completion")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert "complete -o default" in done.stdout


def test_options_of_bench_and_torture_are_shown() -> None:
    for name, option in (("bench", "--in-flight"), ("torture", "--every")):
        done = subprocess.run(
            ringpost(name, "--help"), cwd="/", capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        assert option in done.stdout
