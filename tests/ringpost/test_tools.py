"""Commands of the repository where `make up` was run and `make install-dev` was not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.running import ROOT
from tests.patience import PATIENCE_S

PROGRAM = """
import sys
sys.modules["pytest"] = None  # as if it were not installed
sys.argv = ["ringpost", *sys.argv[1:]]
from ringpost.entry import main
main()
"""


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["torture", "--help"], 0, "--every", ""),
        (["torture", "--seconds", "10"], 2, "", "pytest is missing: run `make install-dev`."),
        (["bench", "--help"], 0, "--in-flight", ""),
    ],
)
def test_command_that_needs_the_tools_says_how_to_get_them(words, code, out, err):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert out in done.stdout
    assert err in done.stderr


INTERRUPTED_AT_ITS_END = """
import os, signal, sys

class Last:
    kill, pid, number = os.kill, os.getpid(), signal.SIGINT

    def __del__(self):  # Python takes itself apart
        Last.kill(Last.pid, Last.number)

last = Last()
sys.argv = ["ringpost", *sys.argv[1:]]
from ringpost.entry import main
main()
"""


@pytest.mark.parametrize(
    ("words", "code"), [(["--help"], 0), (["topics", "nothing"], 2), (["send", "hi"], 2)]
)
def test_exit_code_stands_if_ctrl_c_comes_when_the_command_has_ended(words, code):
    command = [sys.executable, "-c", INTERRUPTED_AT_ITS_END, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code
