"""`python -m tests.mutations [NAME…]`: does each deliberate breakage of the product make a named test fail?

Each is applied alone, to a copy of the tree; the tree itself is never touched. The named tests run there,
on one set of engines for all (embedded, or those of RINGPOST_TEST_ENGINES). They must pass without a
breakage, and fail with it. Exit code 1 unless every breakage is killed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.engines import WAYS, Engines
from tests.mutations.catalogue import ROOT, Mutation, read_catalogue

LEFT_OUT = (
    ".git",
    ".venv",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    ".schemathesis",
    "*.egg-info",
    "ringpost-data",
)
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
TEST_S = 45
HANG_S = 15


class Ran(NamedTuple):
    """How a run of tests ended: `word` is passed, failed, hung or did not run; `by` the test that failed."""

    word: str
    by: str
    output: str


class Bench:
    """A copy of the tree, and engines on which its tests run."""

    def __init__(self, tree: Path, engines: Engines) -> None:
        self._tree = tree
        # Without byte code: a file that changes twice within a second may be taken for the same. Without
        # the plugins that happen to be installed: most of a short run would be their import.
        self._environment = os.environ | {
            "RINGPOST_MONGO_URL": engines.mongo_url,
            "RINGPOST_KAFKA_BOOTSTRAP": engines.kafka_bootstrap,
            "RINGPOST_REDIS_URL": engines.redis_url,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def tried(self, mutation: Mutation) -> tuple[str, Ran]:
        """Break the copy, run, mend it: killed, or why not. A hang kills only where it is what should be."""
        path = self._tree / mutation.file
        whole = path.read_text() if path.exists() else ""
        broken = mutation.applied_to(whole)
        if broken is None:
            return "old text not found", Ran("did not run", "", "")
        path.write_text(broken)
        try:
            ran = self.run(mutation.tests, HANG_S if mutation.hangs else TEST_S)
        finally:
            path.write_text(whole)
        words = {"passed": "SURVIVED", "failed": "killed", "hung": "killed" if mutation.hangs else "HUNG"}
        return words.get(ran.word, "DID NOT RUN"), ran

    def run(self, tests: Sequence[str], test_s: int = TEST_S) -> Ran:
        """Up to the first failure. A test that could not begin has not failed."""
        options = ("-x", "-q", "-rf", "-p", "no:cacheprovider", "-o", f"timeout={test_s}")
        kind = (*PLUGINS, "--engines=urls", "--hypothesis-profile=unshrunk")
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *kind, *tests],
            cwd=self._tree,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said, _ = process.communicate()
        with suppress(ProcessLookupError):  # what a test that hung has left running
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode == 0:
            return Ran("passed", "", said)
        if failed := re.search(r"^FAILED \S+?::(.+?)(?: - .*)?$", said, re.M):
            return Ran("failed", failed[1], said)
        hung = re.search(r"^\++ Timeout \++$", said, re.M)
        return Ran("hung" if hung else "did not run", "", said)


@contextmanager
def copied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ringpost-mutations-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        yield tree


def chosen(names: Sequence[str]) -> list[Mutation]:
    catalogue = read_catalogue()
    if unknown := set(names) - {mutation.name for mutation in catalogue}:
        sys.exit(f"There is no mutation {', '.join(sorted(unknown))}.")
    return [mutation for mutation in catalogue if not names or mutation.name in names]


def main() -> None:
    mutations = chosen(sys.argv[1:])
    with WAYS[os.environ.get("RINGPOST_TEST_ENGINES") or "embedded"]() as engines, copied() as tree:
        bench = Bench(tree, engines)
        sound = bench.run(sorted({test for mutation in mutations for test in mutation.tests}))
        if sound.word != "passed":
            sys.exit(f"The tests do not pass as it is: {sound.word} {sound.by}\n{sound.output[-4000:]}")
        killed = sum(reported(bench, mutation) == "killed" for mutation in mutations)
    sys.stdout.write(f"{killed} of {len(mutations)} killed\n")
    sys.exit(killed != len(mutations))


def reported(bench: Bench, mutation: Mutation) -> str:
    """One line for a mutation, and more where the tests could not run; returns its word."""
    began = time.monotonic()
    word, ran = bench.tried(mutation)
    took_s = time.monotonic() - began
    where = f"{mutation.invariant or '-':<4} {mutation.name:<40}"
    line = f"{word:<9} {where} {took_s:5.1f} s  {ran.by or ran.word}"
    sys.stdout.write(f"{line}\n{ran.output[-2000:] if word == 'DID NOT RUN' else ''}")
    sys.stdout.flush()
    return word


if __name__ == "__main__":
    main()
