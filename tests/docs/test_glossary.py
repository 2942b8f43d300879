"""docs/glossary.md: each term once, in one sentence, in the order of the alphabet."""

from __future__ import annotations

import re

from tests.docs.tables import ROOT

PAGE = (ROOT / "docs" / "glossary.md").read_text()
TERMS = re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", PAGE, re.M)


def test_each_term_has_one_sentence():
    assert len(TERMS) > 40
    assert [term for term, meaning in TERMS if not re.fullmatch(r"[A-Z][^.]*(\.dlq[^.]*)?\.", meaning)] == []
    assert [term for term, meaning in TERMS if len(meaning.split()) > 30] == []


def test_terms_stand_once_and_in_order():
    terms = [term for term, _ in TERMS]
    assert terms == sorted(set(terms), key=str.lower)


def test_every_table_row_is_a_term():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| term")]
    assert len(rows) == len(TERMS)
