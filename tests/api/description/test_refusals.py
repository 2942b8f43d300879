"""What the examples of errors say is what the server says."""

from __future__ import annotations

import ast
import re

import pytest

from api.description.operations import OPERATIONS
from api.description.refusals import REFUSALS, Refusal
from api.strict import convert
from api.views import SyncQuery
from domain.errors import BadRequest, RateLimited
from tests.docs.tables import ROOT

ROOMS = ("domain", "infra", "producers", "api")
APART = {RateLimited, BadRequest}  # no call answers the one yet; the other is put together from its parts
SAID = [
    *(refusal for error, refusal in REFUSALS.items() if error not in APART),
    *(refusal for operation in OPERATIONS.values() for refusal in operation.refused.values()),
]


@pytest.fixture(scope="module")
def patterns() -> list[re.Pattern[str]]:
    """Each text of the product that reads like a sentence; what is filled in may be anything."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if "description" not in path.parts:
                found |= {pattern_of(node) for node in ast.walk(ast.parse(path.read_text()))}
    return [re.compile(text) for text in found if text.endswith(r"\.") and len(text.replace(".+", "")) > 15]


def pattern_of(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(pattern_of(part) if isinstance(part, ast.Constant) else ".+" for part in parts)
    return ""


@pytest.mark.parametrize("refusal", sorted(set(SAID)), ids=lambda refusal: refusal.message)
def test_each_message_is_one_of_the_product(patterns, refusal: Refusal):
    assert any(pattern.fullmatch(refusal.message) for pattern in patterns)


def test_the_example_of_a_bad_request_is_what_its_request_gets():
    with pytest.raises(BadRequest) as refused:
        convert({"limit": "0"}, SyncQuery)
    assert (refused.value.message, refused.value.field) == REFUSALS[BadRequest][1:]
