"""What someone sees while things start, on a terminal and in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ringpost import starting as module
from ringpost.starting import Starting
from tests.builders import until


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, highlight=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_log_has_a_line_for_each_beginning_note_and_end():
    log = console(terminal=False)
    async with Starting(log) as starting:
        starting.begin("MongoDB")
        starting.begin("Apache Kafka")
        starting.note("Downloading Apache Kafka: 12 of 44 MB")
        starting.ready("MongoDB", "MongoDB 7 at 127.0.0.1:1")
        starting.ready("MongoDB", "said twice")
        assert starting.waiting == ["Apache Kafka"]
    *lines, last = written(log).splitlines()
    assert lines == ["MongoDB starts", "Apache Kafka starts", "Downloading Apache Kafka: 12 of 44 MB"]
    assert last.startswith("MongoDB 7 at 127.0.0.1:1 (")


async def test_log_says_again_and_again_what_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REMIND_S", 0.01)
    log = console(terminal=False)
    async with Starting(log) as starting:
        starting.begin("Apache Kafka")
        await until(lambda: written(log).count("Waiting for Apache Kafka (0 s)") >= 2)


async def test_terminal_shows_what_is_not_ready_with_its_seconds_and_keeps_what_is():
    terminal = console(terminal=True)
    async with Starting(terminal) as starting:
        starting.begin("Apache Kafka")
        await until(lambda: "Apache Kafka starts 0:00:0" in plain(written(terminal)))
        starting.note("Downloading Apache Kafka: 12 of 44 MB")
        await until(lambda: "12 of 44 MB 0:00:0" in plain(written(terminal)))
        starting.ready("Apache Kafka", "Apache Kafka 4 at 127.0.0.1:1")
    assert "Apache Kafka 4 at 127.0.0.1:1 (" in plain(written(terminal))


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
