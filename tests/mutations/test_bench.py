"""The bench on which mutations are tried runs tests, and tells one that is seen from one that is not."""

from __future__ import annotations

from msgspec.structs import replace

from tests.mutations.__main__ import Bench, copied
from tests.mutations.catalogue import read_catalogue


def test_mutation_is_killed_by_its_test_and_survives_another(engines):
    (mutation,) = [one for one in read_catalogue() if one.name == "levels-unbounded"]
    other = ("tests/domain/test_conversations.py",)
    with copied() as tree:
        bench = Bench(tree, engines)
        assert bench.run(mutation.tests).word == "passed"
        assert bench.tried(mutation)[0] == "killed"
        assert bench.tried(replace(mutation, tests=other))[0] == "SURVIVED"
