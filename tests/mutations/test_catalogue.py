"""The catalogue cannot rot: what it names is there."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.mutations.catalogue import ROOT, read_catalogue

CATALOGUE = read_catalogue()


@pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda mutation: mutation.name)
def test_old_text_stands_once_and_the_new_one_is_code(mutation):
    text = (ROOT / mutation.file).read_text()
    assert text.count(mutation.old) == 1, "the text changed: bring the catalogue up to date"
    broken = mutation.applied_to(text)
    assert broken not in (None, text)
    if mutation.file.endswith(".py"):
        ast.parse(broken)


@pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda mutation: mutation.name)
def test_named_tests_exist(mutation):
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name.partition("[")[0] in functions, test


def test_names_are_unique_and_every_mutation_says_what_it_breaks():
    assert max(Counter(mutation.name for mutation in CATALOGUE).values()) == 1
    assert all(mutation.breaks.endswith(".") for mutation in CATALOGUE)


def test_every_invariant_is_broken_somehow():
    assert {mutation.invariant for mutation in CATALOGUE} - {""} == {f"I{n}" for n in range(1, 11)}
