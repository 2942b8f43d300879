"""Apache Kafka's jars, downloaded once for this user.

`python -m infra.local.jars FOLDER` downloads them and prints its progress. It is a program so that its
caller can end it at any moment. The folder appears whole or not at all. If several start at once, one
downloads and the others wait.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from infra.local.process import LocalEngineError, tied
from infra.local.program import cache_folder

KAFKA_VERSION = "4.3.0"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
SIZE_MB = 44

_ROOT = Path(__file__).parents[2]


async def kafka_jars(tell: Callable[[str], None]) -> list[Path]:
    """The jars. They are downloaded first if they are missing. `tell` gets the progress once a second."""
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    if not folder.is_dir():
        if find_spec("jgo") is None:
            raise LocalEngineError(
                "Apache Kafka is downloaded through the package `jgo`, which is not installed. "
                "Install the extra: pip install 'ringpost[local]', or set RINGPOST_KAFKA_BOOTSTRAP."
            )
        await _download(folder, tell)
    return sorted(folder.glob("*.jar"))


async def _download(folder: Path, tell: Callable[[str], None]) -> None:
    tell(f"Downloading Apache Kafka {KAFKA_VERSION}, {SIZE_MB} MB, only this once")
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *tied([sys.executable, "-m", "infra.local.jars", str(folder)]),
            cwd=_ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            await _report(process, tell)
            if await process.wait() or not folder.is_dir():
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                raise LocalEngineError(
                    f"Apache Kafka could not be downloaded: {' '.join(last) or 'no reason given'}. "
                    "Try again with a connection to Maven Central, or set RINGPOST_KAFKA_BOOTSTRAP."
                )
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _report(process: asyncio.subprocess.Process, tell: Callable[[str], None]) -> None:
    told = time.monotonic()
    assert process.stdout is not None
    async for line in process.stdout:
        progress = json.loads(line)
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            done_mb = progress["bytes"] / 1e6
            tell(f"Downloading Apache Kafka: {progress['files']} files, {done_mb:.0f} of {SIZE_MB} MB")


# ------------------------------------------------------------------ the program


class _Progress:
    """Prints how much has come so far, at most a few times a second."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0
        self._printed = 0.0

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """What the resolver wants: a block for each file, and a function that it calls with numbers of
        bytes.
        """
        self._files += 1
        yield self.more

    def more(self, count: int) -> None:
        self._bytes += count
        if time.monotonic() - self._printed > 0.2:
            self._printed = time.monotonic()
            print(json.dumps({"files": self._files, "bytes": self._bytes}), flush=True)  # noqa: T201


def download(folder: Path) -> None:
    """Make `folder` with all jars in it, unless another process has made it meanwhile."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        for leftover in folder.parent.glob(f"{folder.name}.part-*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.part-", dir=folder.parent) as part:
            _fetch(Path(part))
            (Path(part) / "jars").rename(folder)


def _fetch(part: Path) -> None:
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(
        resolver=PythonResolver(progress_callback=_Progress().file),
        repo_cache=part / "repository",
        remote_repos={"central": MAVEN_CENTRAL_URL},
        timeout=60,
    )
    builder = EnvironmentBuilder(
        context=context, cache_dir=part / "environment", link_strategy=LinkStrategy.COPY
    )
    (part / "jars").mkdir()
    for jar in builder.from_endpoint(COORDINATES).all_jars:
        shutil.move(jar, part / "jars" / jar.name)


if __name__ == "__main__":
    download(Path(sys.argv[1]))
