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
