"""docs/cli.md is what the program says of itself, and its examples can be typed."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from ringpost.cli import app
from tests.docs.cli_page import PROGRAMS, cli_page, examples, leaves
from tests.docs.tables import CLI

COMMANDS = dict(leaves(typer.main.get_command(app), ""))


def test_page_is_that_of_the_program():
    assert CLI.read_text() == cli_page(), "run `python -m tests.docs.tables`"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_says_what_it_does_and_has_examples_with_options_that_exist(name):
    command = COMMANDS[name]
    assert command.help
    assert examples(command)
    if name in PROGRAMS:
        actions = PROGRAMS[name]()._actions  # noqa: SLF001 - argparse lists them nowhere else
        known = {option for one in actions for option in one.option_strings}
    else:
        known = {option for one in command.params for option in [*one.opts, *one.secondary_opts]}
        assert all(one.help for one in command.params if one.name != "help" and not one.hidden)
    for line in examples(command):
        typed = shlex.split(re.split(r"ringpost ", line, maxsplit=1)[1].rstrip(")"))
        assert typed[: len(name.split())] == name.split()
        assert {word for word in typed if word.startswith("--")} <= known
