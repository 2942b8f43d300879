"""The sentences that docs/troubleshooting.md quotes are those that the product says."""

from __future__ import annotations

import re

import pytest

from api.gateway.frames import Close
from domain.errors import every_error
from infra.telemetry.names import CATALOGUE
from tests.docs.tables import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
ROOMS = ("domain", "infra", "producers", "consumers", "api", "ringpost")
FIRST_CELLS = re.findall(r"^\| (?!you see|---)([^|]*) \|", PAGE, re.M)
SENTENCES = [text for cell in FIRST_CELLS for text in re.findall(r"`([^`]*)`", cell) if " " in text]


@pytest.fixture(scope="module")
def sayings() -> str:
    """All source, texts that stand in pieces joined, what is filled in left out."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    text = "\n".join(path.read_text() for path in (*files, ROOT / "Makefile"))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_page_quotes_sentences():
    assert len(SENTENCES) >= 15


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_is_quoted_is_said(sayings, sentence):
    """Dots stand for what is filled in; `strerror` is the system's."""
    pieces = [piece.strip(" :.") for piece in sentence.replace("Address already in use", "…").split("…")]
    wanted = [piece for piece in pieces if len(piece) > 3]
    assert wanted
    assert [piece for piece in wanted if piece not in sayings] == []


def test_codes_and_metrics_exist():
    codes = {error.code for error in every_error()}
    named = {text for cell in FIRST_CELLS for text in re.findall(r"`([a-z_]+)`", cell)}
    metrics = {name for name in named if name.startswith("ringpost_")}
    known = {metric.describe()[0].name for metric in CATALOGUE.values()}
    assert {name.removesuffix("_total") for name in metrics} <= {
        name.removesuffix("_total") for name in known
    }
    assert named - metrics - {"entries", "degraded"} <= codes
    closes = {int(code) for cell in FIRST_CELLS for code in re.findall(r"close code (\d+)", cell)}
    assert closes <= {int(close) for close in Close}
