"""A disk of MongoDB's own, small enough to be filled: a tmpfs, which root may mount (Linux)."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from infra.local.stack import LocalEngines

ABSENT = (
    "The mode disk mounts a small tmpfs for MongoDB: run it as root, on Linux, where mounting is allowed."
)
SIZE_MB = 600
ANSWERS_S = 5.0
CHUNKS_BYTES = (1_048_576, 4_096)


def may_mount() -> bool:
    """Whether a tmpfs can be had here; it is tried."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder) / "disk"):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A tmpfs at the folder for the length of the block; what was on it is gone afterwards."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


async def full_for(local: LocalEngines, folder: Path, lasts_s: float) -> str:
    """Not a byte left for so long. MongoDB ends itself when it cannot write, and is started again when
    there is room; says which of both it was. Its journal has room in advance, so it is told to write its
    data files, which it would else do once a minute."""
    filler = folder / "filler"
    await asyncio.to_thread(_fill, filler)
    try:
        await asyncio.gather(asyncio.to_thread(_checkpoint, local.port("mongo")), asyncio.sleep(lasts_s))
    finally:
        filler.unlink()
    if await asyncio.to_thread(_takes_writes, local.port("mongo")):
        return "MongoDB outlived the full disk"
    await local.restart("mongo")
    return "MongoDB ended on the full disk and was started again"


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in CHUNKS_BYTES:
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _client(port: int) -> pymongo.MongoClient[dict[str, object]]:
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    milliseconds = round(ANSWERS_S * 1000)
    return pymongo.MongoClient(address, serverSelectionTimeoutMS=milliseconds, timeoutMS=milliseconds)


def _checkpoint(port: int) -> None:
    with suppress(PyMongoError), _client(port) as client:
        client.admin.command("fsync", 1)


def _takes_writes(port: int) -> bool:
    with suppress(PyMongoError), _client(port) as client:
        client["torture_disk"]["room"].insert_one({})
        return True
    return False
