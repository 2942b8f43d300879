"""The output of commands. Text for people and JSON for machines go to stdout, progress goes to stderr.

Colours and progress come only on a terminal, and no colours where NO_COLOR is set.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.highlighter import ReprHighlighter
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")
PATIENCE_S = 1.0
"""What takes longer shows that it goes on."""
LOOK_AGAIN_S = 0.5


def example(*lines: str) -> str:
    """The text below the help of a command."""
    return "\n\n".join(["Examples:" if len(lines) > 1 else "Example:", *lines])


class OutputLost(Exception):
    """Stdout cannot be written to. `reason` is empty when its reader has closed it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Guarded(io.TextIOWrapper):
    """Stdout with an error of its own when it is lost. A lost connection is an OSError too."""

    def write(self, text: str) -> int:
        with _told():
            return super().write(text)

    def flush(self) -> None:
        with _told():
            super().flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputLost("" if error.errno == errno.EPIPE else str(error.strerror)) from None


def guard_output() -> None:
    """From now on a lost stdout raises OutputLost.

    Characters that the terminal cannot show are written as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        buffered, encoding, lines = sys.stdout.line_buffering, sys.stdout.encoding, sys.stdout.detach()
        sys.stdout = _Guarded(lines, encoding=encoding, errors="backslashreplace", line_buffering=buffered)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def release_output() -> None:
    """Discard what is still to be written to stdout, so that Python reports nothing at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


async def watch_reader() -> None:
    """Run until the reader of stdout has closed it, then raise OutputLost.

    A write shows that only when there is something to write.
    """
    waiting = select.poll()
    waiting.register(sys.stdout.fileno(), 0)  # an error or a hang-up is always reported
    while True:
        if waiting.poll(0):
            raise OutputLost("")
        await asyncio.sleep(LOOK_AGAIN_S)


def write(text: str) -> None:
    """Write a line to stdout at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def json_line(value: object) -> str:
    """JSON that sends nothing but visible ASCII to a terminal."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def quoted(value: object) -> str:
    """JSON on one line, with the characters of every language as they are.

    What steers a terminal or turns the order of text stands there as an escape.
    """
    text = json.dumps(value, ensure_ascii=False)
    for escaped in (_STEERING, _SURROGATES):
        text = escaped.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    return text


def harmless(text: str) -> str:
    """The text with a sign in place of each character that steers a terminal or turns the order of text."""
    return _STEERING.sub("\ufffd", text)


def table_of(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Table:
    """Shows what the cells hold as it is written, harmless to a terminal. Numbers have colours there."""
    table, highlighted = Table(*columns), ReprHighlighter()
    for row in rows:
        table.add_row(*(highlighted(harmless(str(cell))) for cell in row))
    return table


def show(value: object, as_json: bool, text: str | Text | Table) -> None:
    """One of the two."""
    if as_json:
        write(json_line(value))
    elif isinstance(text, Table):
        Console().print(text)
    elif isinstance(text, Text):
        _print(Console(highlight=False), text)
    else:
        write(harmless(text))


def complain(sentence: str) -> None:
    """Write to stderr what went wrong. Red on a terminal."""
    _aside(sentence, "red")


def remark(sentence: str) -> None:
    """Write to stderr what is going on. Dim on a terminal."""
    _aside(sentence, "dim")


def _aside(sentence: str, style: str) -> None:
    _print(Console(stderr=True, highlight=False), Text(sentence, style=style))


def _print(console: Console, text: Text) -> None:
    """Broken between words on a terminal, never elsewhere."""
    text.plain = harmless(text.plain)  # of the same length, so each style stays in its place
    console.print(text, soft_wrap=not console.is_terminal)


def live(console: Console, refresh_per_s: float = 10) -> Progress:
    """Lines that say what goes on and for how long. They are on a terminal only, and gone at the end."""
    return Progress(
        SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
        TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=console,
        transient=True, refresh_per_second=refresh_per_s, disable=not console.is_terminal,
    )  # fmt: skip


@contextmanager
def progress(doing: str, refresh_per_s: float = 10) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being done and for how long, once that has taken a second.

    Gone when the block ends. What is called with a text changes the line. Nothing if stderr is no terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    line = live(console, refresh_per_s)
    task = line.add_task(doing)
    start = threading.Timer(PATIENCE_S, line.start)
    start.start()
    try:
        yield lambda text: line.reset(task, description=text)
    finally:
        start.cancel()
        start.join()
        line.stop()
