"""docs/cli.md, made from the program itself: every command with its arguments, options and examples."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import typer

from benchmarks.load import parser as bench
from ringpost.cli import app
from tests.torture.__main__ import parser as torture

PROGRAMS = {"bench": bench, "torture": torture}
"""Commands whose options are those of a program of the repository."""

HEAD = """# The command line

`ringpost` runs the parts of Ringpost, looks after them, and is a device in the terminal. This page is made
from the program: `python -m tests.docs.tables` writes it. `ringpost COMMAND --help` shows the same.
A checkout has the command at `.venv/bin/ringpost`.

* **Where it finds things.** The commands that ask the API take `--url` or `RINGPOST_URL`. Those that ask the
  engines read the [settings](settings.md). What is not set, they find in the data folder while `ringpost up`
  runs with it. So in the folder of `make up`, while it runs, nothing needs to be set.
* **Output.** Answers go to standard output. What a command is doing, and what went wrong, goes to standard
  error. Colours and progress appear only on a terminal. `NO_COLOR=1` turns the colours off.
* **Completion.** `ringpost --install-completion` completes commands and options in your shell.
* **Version.** `ringpost --version`.

| exit code | meaning |
|---|---|
| 0 | Done. Ctrl-C and SIGTERM are the usual end of `up`, `api`, `worker` and `listen`, and give 0 too. |
| 1 | It could not be done. One sentence says why. |
| 2 | It was asked for wrongly: an unknown option, a URL that is none. `bench`, `torture`: no run possible. |
| 130 | Ctrl-C ended it before it was done. |
| 141 | The reader of the output is gone, as after `\\| head -1`. |

"""


def cli_page() -> str:
    """The whole of docs/cli.md."""
    found = dict(leaves(typer.main.get_command(app), ""))
    rows = [
        f"| [`ringpost {name}`](#ringpost-{name.replace(' ', '-')}) | {_first(one)} |"
        for name, one in found.items()
    ]
    index = "\n".join(["| command | what it does |", "|---|---|", *rows])
    return HEAD + index + "\n" + "".join(_section(name, command) for name, command in found.items())


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Each command with its words."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, part in command.commands.items():
        yield from leaves(part, f"{name} {word}".strip())


def examples(command: Any) -> list[str]:
    """What stands below its help."""
    _, *lines = (command.epilog or "").split("\n\n")
    return lines


def _first(command: Any) -> str:
    return _cell(" ".join(command.help.split("\n\n")[0].split()))


def _section(name: str, command: Any) -> str:
    text = "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))
    lines = [f"\n## ringpost {name}\n", text + "\n"]
    rows = list(_of_program(PROGRAMS[name]) if name in PROGRAMS else _of_command(command))
    if rows:
        lines += ["| argument or option | default | |", "|---|---|---|", *rows, ""]
    return "\n".join([*lines, "```", *examples(command), "```", ""])


def _of_command(command: Any) -> Iterator[str]:
    for one in command.params:
        if getattr(one, "hidden", False) or one.name == "help":
            continue
        if one.param_type_name == "argument":
            yield _row(f"`{one.name.upper()}`", None, one.help)
            continue
        names = " · ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
        variable = f"; or `{one.envvar}`" if one.envvar else ""
        default = "required" if one.required else one.default
        yield _row(names + variable, default, one.help)


def _of_program(parser: Any) -> Iterator[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    with patch.dict(os.environ, others, clear=True):
        made: argparse.ArgumentParser = parser()
    for one in made._actions:  # noqa: SLF001 - argparse lists them nowhere else
        if one.dest == "help":
            continue
        names = " · ".join(f"`{name}`" for name in one.option_strings)
        text = (one.help or "").replace(" (%(default)s)", "").replace("; %(default)s)", ")")
        yield _row(names, one.default, text)


def _row(names: str, default: object, text: str | None) -> str:
    absent = default is None or isinstance(default, bool) or default in ("", ())
    shown = "" if absent else str(default) if default == "required" else f"`{default}`"
    return f"| {names} | {shown} | {_cell(text or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
