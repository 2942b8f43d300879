"""What people and networks do to a command, and how it is run with that."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ringpost.cli import app
from tests.docs.running import ROOT

HTTP = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
OLD_HTTP = HTTP.replace(b"HTTP/1.1", b"HTTP/1.0")
UNAUTHENTICATED = (
    b'{"error":{"code":"unauthenticated","message":"The token is not valid.","retriable":false}}'
)
PAGE = b"<html>It works</html>"
ANSWERS: dict[str, bytes | None] = {
    "a web page": HTTP % (b"200 OK", b"text/html", len(PAGE), PAGE),
    "an empty answer": HTTP % (b"200 OK", b"application/json", 0, b""),
    "JSON of something else": HTTP % (b"200 OK", b"application/json", 4, b"[42]"),
    "an empty object": HTTP % (b"200 OK", b"application/json", 2, b"{}"),
    "garbage": bytes(range(128, 256)) * 8,
    "a web server that knows no such call": OLD_HTTP % (b"501 Unsupported", b"text/html", len(PAGE), PAGE),
    "an end of the connection": b"",
    "silence": None,
    "that the token is wrong": HTTP
    % (b"401 Unauthorized", b"application/json", len(UNAUTHENTICATED), UNAUTHENTICATED),
}
BENCH = ("--only", "50", "--seconds", "1", "--warm-up", "0", "--users", "2", "--drain", "1")
WORDS = {
    "worker": ("all",),
    "send": ("hello", "--to", "bob"),
    "edit": ("d:ann:bob:1", "hello"),
    "recall": ("d:ann:bob:1",),
    "react": ("d:ann:bob:1", ":ok:"),
    "pin": ("d:ann:bob:1",),
    "hide": ("d:ann:bob:1",),
    "read": ("d:ann:bob",),
    "bench": BENCH,
    "torture": ("--seconds", "1"),
    "topics dlq show": ("deliveries", "0", "0"),
    "topics dlq replay": ("deliveries",),
}
"""What is given to a command where a word for each required argument will not do.

The torture starts engines of its own, so it is asked for what it refuses.
"""

KEEP_RUNNING = {"up": 1, "api": 1, "worker": 1, "listen": 2}
"""What does not end by itself while things are away, and after how many lines that is seen."""


PATIENCE_S = 120.0
"""The outer bound of what ends by itself on a machine with much else to do."""
GRACE_S = 1.0
"""What has said why it ends is ended by nobody else."""


class Ended(NamedTuple):
    command: str
    code: int
    out: str
    err: str
    interrupted: bool


def commands() -> list[str]:
    """Every command of the program, also those that were added yesterday."""
    return sorted(_leaves(typer.main.get_command(app), ""))


def _leaves(command: Any, name: str) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield name
        return
    for word, part in command.commands.items():
        yield from _leaves(part, f"{name} {word}".strip())


def _leaf(name: str) -> Any:
    command: Any = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


def words_of(name: str) -> list[str]:
    """The command with something for each argument that it requires."""
    if name in WORDS:
        return [*name.split(), *WORDS[name]]
    required = [one for one in _leaf(name).params if one.param_type_name == "argument" and one.required]
    return [*name.split(), *("ann" for _ in required)]


@contextmanager
def answering(kind: str) -> Iterator[tuple[int, threading.Event]]:
    """A port at which everything is answered in this way, and whether someone has come."""
    answer, came = ANSWERS[kind], threading.Event()
    kept: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                kept.append(connection)
                came.set()
                threading.Thread(target=reply, args=(connection,), daemon=True).start()

    def reply(connection: socket.socket) -> None:
        with suppress(OSError):
            if answer is None:
                return
            if answer.startswith(b"HTTP"):
                connection.recv(65_536)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(listening.getsockname()[1]), came
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for connection in kept:
                connection.close()


def surroundings(folder: Path, port: int, **more: str) -> dict[str, str]:
    """Environment of someone for whom everything is at this port of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    return kept | {
        "RINGPOST_URL": f"http://127.0.0.1:{port}",
        "RINGPOST_TOKEN": "a.b.c",
        "RINGPOST_TIMEOUT_S": "2",
        "RINGPOST_ADMIN_KEY": "an-admin-key-of-the-tests",
        "RINGPOST_DATA_DIR": str(folder / "data"),
        "RINGPOST_MONGO_URL": f"mongodb://127.0.0.1:{port}/?replicaSet=rs0",
        "RINGPOST_MONGO_TIMEOUT_S": "1",
        "RINGPOST_KAFKA_BOOTSTRAP": f"127.0.0.1:{port}",
        "RINGPOST_REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "RINGPOST_HTTP_PORT": "0",
        "RINGPOST_WORKER_PORT": "0",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def askers() -> list[str]:
    """The commands that ask the API."""
    return [
        name for name in commands() if name == "bench" or any(one.name == "url" for one in _leaf(name).params)
    ]


def run(
    name: str,
    folder: Path,
    environment: dict[str, str],
    words: list[str] | None = None,
    come: threading.Event | None = None,
    stdout: int | None = None,
    ends_itself: bool = False,
) -> Ended:
    """Run the command until it ends. Ctrl-C ends it once `come` is set, or it has said enough."""
    command = [sys.executable, "-m", "ringpost", *(words_of(name) if words is None else words)]
    folder.mkdir(parents=True, exist_ok=True)
    written = (folder.with_suffix(".out"), folder.with_suffix(".err"))
    with written[0].open("wb") as out, written[1].open("wb") as err:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=err
        )

    def said() -> str:
        return "".join(path.read_bytes().decode(errors="replace") for path in written)

    def is_to_be_ended() -> bool:
        enough = sys.maxsize if ends_itself else KEEP_RUNNING.get(name, sys.maxsize)
        return said().count("\n") >= enough or (come is not None and come.is_set())

    interrupted = False
    with process:
        try:
            if not _ends(process, PATIENCE_S, is_to_be_ended) and not _ends(process, GRACE_S):
                interrupted = True
                process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
        finally:
            process.kill()
    texts = [path.read_bytes().decode(errors="replace") for path in written]
    return Ended(name, process.returncode, *texts, interrupted)


def _ends(
    process: subprocess.Popen[bytes], within_s: float, or_until: Callable[[], bool] = lambda: False
) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not or_until():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return True
    return process.poll() is not None
