"""`ringpost up` as a newcomer runs it: on engines of its own, ended in every way."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.folder import FolderLock
from ringpost.running import find_running
from tests.docs.running import ROOT
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.own_engines


class Up:
    """A running `ringpost up`, and the other commands beside it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.said = ""
        self.folder = folder

    def ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError(f"up ended:\n{self.said}")

    @property
    def url(self) -> str:
        return re.findall(r"  API +(\S+)", self.said)[0]

    def command(self, *words: str) -> Any:
        """What a command says, as JSON. It finds this Ringpost by the data folder."""
        done = subprocess.run(
            [sys.executable, "-m", "ringpost", *words],
            cwd=ROOT,
            env=settings(self.folder),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout.strip()

    def texts(self, token: str, count: int) -> list[str]:
        """The texts in the inbox, once there are so many."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            entries = self.command("pull", "--token", token, "--wait-s", "0.5")["entries"]
            if len(entries) >= count:
                return [entry["message"]["body"]["text"] for entry in entries]
        raise AssertionError(f"only {entries} came")

    def kill_and_see_it_again(self, sign: str) -> None:
        """kill -9 to the one process with this in its command line; wait for the next one."""
        (pid,) = processes(self.folder, sign)
        os.kill(pid, signal.SIGKILL)
        until(lambda: processes(self.folder, sign) not in ([], [pid]))


def settings(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    return kept | {"RINGPOST_DATA_DIR": str(folder), "RINGPOST_HTTP_PORT": "0"}


def until(there: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def processes(folder: Path, sign: str = "") -> list[int]:
    """Those that work on this folder, with the sign in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            known_by = line + (path / "environ").read_bytes() + str((path / "cwd").readlink()).encode()
            if sign.encode() in line and str(folder).encode() in known_by:
                found.append(int(path.name))
    return [pid for pid in found if pid != os.getpid()]


@contextmanager
def started(folder: Path, **more: str) -> Iterator[Up]:
    with subprocess.Popen(
        [sys.executable, "-m", "ringpost", "up"],
        cwd=ROOT,
        env=settings(folder) | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        up = Up(process, folder)
        try:
            up.ready()
            yield up
        finally:
            process.kill()


@pytest.mark.faults
def test_however_it_ends_nothing_is_left_running_and_every_message_is_there(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        for engine in ("MongoDB", "Kafka", "Redis"):
            assert len(re.findall(rf"{engine} \S.* at 127\.0\.0\.1:\d+", up.said)) == 1
        assert "docs/production.md" in up.said
        for part in ("API", "worker inbox", "worker push", "worker relay"):
            assert up.said.index(f"{part} starts") < up.said.index(f"{part} is ready (")
        assert f"In another terminal: RINGPOST_DATA_DIR={tmp_path} ringpost doctor\n" in up.said
        assert all(finding["ok"] for finding in up.command("doctor", "--json"))
        assert "deliveries" in up.command("topics", "list", "--json")
        assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
        ann = up.command("token", "ann", "phone", "--create-user")
        up.command("send", "before Ctrl-C", "--to", "ann", "--token", ann)
        up.process.send_signal(signal.SIGINT)
        assert up.process.stdout is not None
        assert up.process.stdout.read().endswith("Stopped.\n")
        assert up.process.wait(PATIENCE_S) == 0
        assert processes(tmp_path) == []
        assert find_running(tmp_path) is None
    with started(tmp_path) as up:
        assert up.texts(ann, 1) == ["before Ctrl-C"]
        up.command("send", "before kill -9", "--to", "ann", "--token", ann)
        up.process.kill()
        until(lambda: processes(tmp_path) == [])
        assert (tmp_path / "up.json").exists()
        until(lambda: find_running(tmp_path) is None)  # a process that dies lets go of its lock last
    with started(tmp_path) as up:
        assert up.texts(ann, 2) == ["before Ctrl-C", "before kill -9"]
        up.process.terminate()
        assert up.process.wait(PATIENCE_S) == 0
        assert processes(tmp_path) == []


@pytest.mark.faults
def test_it_supervises_and_ends_also_where_nobody_reads_its_output_any_more(tmp_path: Path) -> None:
    with started(tmp_path) as up:
        assert up.process.stdout is not None
        up.process.stdout.close()
        up.kill_and_see_it_again("ringpost worker push")
        up.process.terminate()
        assert up.process.wait(PATIENCE_S) == 0
        assert processes(tmp_path) == []


def test_what_starts_is_said_at_once_and_ctrl_c_ends_it_there(tmp_path: Path) -> None:
    """Kafka takes seconds to start; nobody waits for it who wants to stop."""
    with subprocess.Popen(
        [sys.executable, "-m", "ringpost", "up"],
        cwd=ROOT,
        env=settings(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(PATIENCE_S) == 0
    assert said == ["Starting Ringpost", "MongoDB starts", "Apache Kafka starts", "Redis starts"]
    assert "Stopping." in rest
    assert rest.endswith("Stopped.\n")
    assert "API starts" not in rest
    assert processes(tmp_path) == []


@pytest.mark.faults
@pytest.mark.parametrize(
    "sign", ["ringpost worker inbox", "ringpost api", "redis-server", "mongod", "kafka.Kafka"]
)
def test_what_is_killed_comes_back(sign: str, up: Up, ann: str) -> None:
    before = len(up.texts(ann, 0))
    up.kill_and_see_it_again(sign)
    until(lambda: send(up, ann, f"after {sign}"))
    assert up.texts(ann, before + 1)[-1] == f"after {sign}"


@pytest.mark.faults
def test_engine_that_cannot_be_started_again_is_tried_until_it_can(up: Up, ann: str) -> None:
    folder, away = up.folder / "redis", up.folder / "away"
    (pid,) = processes(up.folder, "redis-server")
    folder.rename(away)
    folder.write_text("where the folder was")
    os.kill(pid, signal.SIGKILL)
    assert up.process.stdout is not None
    for line in up.process.stdout:
        if "File exists" in line or "Not a directory" in line:
            break
    folder.unlink()
    away.rename(folder)
    until(lambda: len(processes(up.folder, "redis-server")) == 1)
    until(lambda: send(up, ann, "after the repair"))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with started(tmp_path_factory.mktemp("up")) as up:
        yield up


@pytest.fixture(scope="module")
def ann(up: Up) -> str:
    return str(up.command("token", "ann", "phone", "--create-user"))


def test_page_is_where_up_says_it_is_and_gets_its_tokens_there(up: Up) -> None:
    (page,) = re.findall(r"page +(\S+)", up.said)
    assert "stage/stage.js" in httpx.get(f"{page}/").text
    answer = httpx.post(f"{page}/stage/tokens/bob/window", headers={"Origin": page})
    assert up.command("pull", "--token", answer.json()["token"])["cursor"] == 0


def send(up: Up, token: str, text: str) -> bool:
    try:
        up.command("send", text, "--to", "ann", "--token", token)
    except AssertionError:
        return False
    return True


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "ringpost", "up"],
            cwd=ROOT,
            env=settings(tmp_path) | {"RINGPOST_HTTP_PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 1
    assert (
        done.stderr == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Set RINGPOST_HTTP_PORT.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    asyncio.run(lock.take())
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ringpost", "up"],
            cwd=ROOT,
            env=settings(tmp_path) | {"RINGPOST_HTTP_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    finally:
        lock.release()
    assert done.returncode == 1
    assert done.stdout == "Starting Ringpost\n"
    assert done.stderr == (
        f"The data folder {tmp_path} is already in use by process {os.getpid()}. "
        "Stop that one, or set RINGPOST_DATA_DIR to another folder.\n"
    )


def test_a_limit_of_files_that_kafka_cannot_live_with_is_said_before_anything_starts(tmp_path: Path) -> None:
    limited = ["/bin/sh", "-c", 'ulimit -n 300 && exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-m", "ringpost", "up"],
        cwd=ROOT,
        env=settings(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Apache Kafka needs 512 open files, and the hard limit is 300. Raise it (`ulimit -Hn`), or set the "
        "address of an engine that runs elsewhere.\n"
    )
    assert list(tmp_path.iterdir()) == []
