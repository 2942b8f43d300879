"""The numbers in docs/guarantees.md add up, and the tests that it names exist."""

from __future__ import annotations

import re

from tests.docs.tables import ROOT
from tests.torture import options

TEXT = (ROOT / "docs" / "guarantees.md").read_text()
MODES = TEXT[TEXT.index("| mode |") :].partition("\n\n")[0].splitlines()[2:]


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def number(cell):
    return float(cell.removesuffix(" s").replace(",", ""))


def test_last_row_of_the_modes_is_the_sum_of_the_others():
    *rows, total = map(cells, MODES)
    assert len(rows) == 10
    for column in (2, 3):
        assert number(total[column]) == sum(number(row[column]) for row in rows)
    assert number(total[4]) == max(number(row[4]) for row in rows)


def test_every_mode_of_the_table_is_one_of_the_torture():
    assert {cells(line)[0].strip("`") for line in MODES[:-1]} == set(options.MODES)


def test_every_test_file_that_a_promise_names_exists():
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).exists()]


def test_examples_of_the_sizing_follow_from_its_table():
    text = (ROOT / "docs" / "sizing.md").read_text()
    rows = [cells(line) for line in text[text.index("| one |") :].partition("\n\n")[0].splitlines()[2:]]
    message, line = (number(rows[at][2]) for at in (0, 1))
    ring, socket = (number(rows[at][1]) for at in (2, 4))
    assert f"{message:.0f} + {line:.0f} × *n*" in text
    assert (
        f"{message + 2 * line:.0f} bytes, a group of a hundred {(message + 100 * line) / 1e3:.1f} kB" in text
    )
    a_day = 10_000 * 50 * (message + 2 * line)
    assert f"{a_day / 1e6:.0f} MB a\nday, or {a_day * 365 / 1e9:.0f} GB a year" in text
    assert f"{ring:.0f} kB" in text
    assert f"{ring / 100:.2f} GB" in text
    assert f"{round(socket * 10_000 / 1e7) * 10} MB in the gateway" in text
