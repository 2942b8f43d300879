"""What the documentation says in tables is what the code says."""

from __future__ import annotations

import re

import pytest

from api.errors import STATUS, error_body
from api.gateway.frames import Close
from api.history import MOST_READERS
from api.views import HistoryQuery, SendMessage, SyncQuery
from api.views_messages import DRAFT_BYTES, MOST_IN_BATCH
from domain.errors import every_error
from domain.messages import BODY_LIMIT_BYTES
from domain.reactions import MOST_KEYS, MOST_OF_USER
from domain.registers import SHOWN_REACTORS
from infra.mongo import unread
from infra.mongo.registers import MOST_EDITS
from infra.settings import PARTS
from producers.conflated import MOST_S
from producers.quoting import MOST_MENTIONS
from producers.revise import MOST_PINS
from tests.docs.tables import MADE, README, ROOT


def page(name):
    return (ROOT / "docs" / name).read_text()


def rows(text, first_header):
    """Cells of the table whose first column has this header."""
    table = text[text.index(f"| {first_header} |") :].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_file_that_is_made_from_the_code_is_up_to_date(path):
    assert path.read_text() == MADE[path](), "run `python -m tests.docs.tables`"


def test_error_table_is_that_of_the_code():
    documented = {
        code: (int(status), retriable) for code, status, retriable, _ in rows(page("sync.md"), "code")
    }
    bodies = {error: error_body(error("A sentence.")) for error in every_error()}
    assert documented == {
        body.code: (STATUS[error], "yes" if body.retriable else "no") for error, body in bodies.items()
    }


def test_close_codes_are_those_of_the_gateway():
    documented = {int(code): meaning for code, meaning, _ in rows(page("gateway.md"), "code")}
    assert documented == {int(code): code.reason for code in Close}


def test_body_limits_are_those_of_the_code():
    documented = {kind: int(limit.replace(",", "")) for kind, _, limit in rows(page("sync.md"), "kind")}
    assert documented == {kind: limit for kind, limit in BODY_LIMIT_BYTES.items() if kind != "system"}


def test_defaults_of_queries_are_those_that_are_documented():
    sync = page("sync.md")
    assert f"`limit`: 1 to 200, default {SyncQuery().limit}." in sync
    assert f"`limit`: 1 to 200, default {HistoryQuery().limit}." in sync
    assert "`wait_s`: 0 to 60, default 0." in sync
    assert SyncQuery().wait_s == 0
    assert "client_message_id" in SendMessage.__struct_fields__


def test_bounds_are_those_of_the_code():
    """In the order of the table."""
    documented = [
        int(most.partition(", among")[0].replace(",", ""))
        for _, most, _ in rows(page("sizing.md").partition("### Bounds")[2], "what")
    ]
    bounds = [
        *(MOST_EDITS, MOST_KEYS, MOST_OF_USER, MOST_PINS, MOST_MENTIONS, MOST_IN_BATCH),
        *(DRAFT_BYTES, MOST_READERS, SHOWN_REACTORS, unread.MOST),
    ]
    assert documented == bounds
    assert f"among the newest {unread.LONG_LOOK:,} documents" in page("sizing.md")
    assert f"up to {MOST_S:.0f} s" in page("sizing.md")


VARIABLE = re.compile(r"RINGPOST_[A-Z_]*[A-Z]")
READ_ELSEWHERE = (
    "infra/settings.py",
    "benchmarks/load.py",
    "ringpost/cli.py",
    "tests/engines.py",
    "infra/deploy/compose.yaml",
)


@pytest.mark.parametrize("path", [README, *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name)
def test_variables_that_pages_name_exist(path):
    """A page may also name several at once by what they begin with."""
    known = {variable for part in PARTS.values() for variable in part.variables()}
    for name in READ_ELSEWHERE:
        if (ROOT / name).exists():
            known.update(VARIABLE.findall((ROOT / name).read_text()))
    named = set(VARIABLE.findall(path.read_text()))
    assert not {one for one in named if not any(f"{name}_".startswith(f"{one}_") for name in known)}


def test_files_that_the_path_names_exist():
    named = re.findall(r"`((?:api|consumers|producers|infra)/[\w/]+\.py)`", page("path.md"))
    assert named
    assert all((ROOT / name).exists() for name in named)


def test_index_lists_every_page_with_a_sentence():
    rows = re.findall(r"^\| \[([^\]]+)\]\(([^)]+)\) \| (.+) \|$", page("README.md"), re.MULTILINE)
    listed = {(ROOT / "docs" / target).resolve() for _, target, _ in rows}
    here = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".toml")}
    assert {path.name for path in here - listed} == {"README.md"}, "add a line to docs/README.md"
    assert all(sentence.endswith(".") for *_, sentence in rows)


FIRST_WORDS = ("The ", "Seconds ", "Hours ", "Partitions ", "Copies ")


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_sentence_of_every_setting_begins_with_what_the_value_is(part):
    for name, field in part.model_fields.items():
        assert (field.description or "").startswith(FIRST_WORDS), name
        assert field.description.endswith("."), name
        if name.endswith("_s"):
            assert field.description.startswith("Seconds "), name
