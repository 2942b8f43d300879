"""What someone sees who waits for pip."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from infra.local.install import Story, pinned
from tests.docs.running import ROOT


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(ROOT / "infra/local/install.py"), "--no-index", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wheel(folder: Path) -> Path:
    """A package that holds nothing."""
    path = folder / "nothing_at_all-1.0-py3-none-any.whl"
    info = "nothing_at_all-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nothing-at-all\nVersion: 1.0\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return path


def test_packages_are_counted_and_named_with_their_size():
    story = Story(2)
    said = []
    for line in (
        "Collecting motor==3.7 (from -r requirements.lock (line 1))\n",
        "  Downloading motor-3.7-py3-none-any.whl (74 kB)\n",
        "  Using cached a.whl.metadata (7 kB)\n",
        "Collecting redis[hiredis]==6.2 (from -r requirements.lock (line 2))\n",
        "Installing collected packages: motor, redis\n",
    ):
        story.read(line)
        said.append(story.text)
    assert said == [
        "package 1 of 2: motor",
        "package 1 of 2: motor, 74 kB",
        "package 1 of 2: motor, 7 kB",
        "package 2 of 2: redis[hiredis]",
        "unpacking what was downloaded",
    ]


def test_packages_of_the_lock_are_those_that_have_a_version(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("# made by\na==1 \\\n    --hash=sha256:00\nb[c]==2\n")
    assert pinned(["--require-hashes", "-r", str(lock)]) == 2


def test_what_is_installed_is_there_and_took_some_seconds(tmp_path):
    done = install("--target", str(tmp_path / "there"), str(wheel(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there/nothing_at_all-1.0.dist-info").is_dir()
    assert done.stdout.splitlines()[-1].startswith("  installed in ")  # before it, what took some seconds
    assert done.stderr == ""


def test_failure_is_that_of_pip_with_what_it_said():
    done = install("there-is-no-such-package")
    assert done.returncode == 1
    assert "No matching distribution found for there-is-no-such-package" in done.stderr
    assert "installed in" not in done.stdout
