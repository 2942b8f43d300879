"""A network between the parts and one engine that can be cut for one part: refused, or silently stalled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 65_536


class _Pair:
    """One connection of a client, and ours to the engine."""

    def __init__(self, part: str | None, *writers: asyncio.StreamWriter) -> None:
        self.part = part
        self.writers = writers
        self.open = asyncio.Event()
        self.open.set()

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Passes bytes on. `part_at` tells which part has the connection from a port; None: nobody of ours."""

    def __init__(self, part_at: Callable[[int, int], str | None]) -> None:
        self._part_at = part_at
        self._pairs: set[_Pair] = set()
        self._refused: set[str] = set()
        self._stalled: set[str] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.target = 0
        self.port = 0

    async def open(self) -> None:
        """Listens; connections are passed to port `target` of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, part: str, *, stalled: bool) -> None:
        """From now on: its connections break and new ones are refused; or nothing passes, without a word."""
        (self._stalled if stalled else self._refused).add(part)
        for pair in self._of(part):
            if stalled:
                pair.open.clear()
            else:
                pair.abort()

    def heal(self, part: str) -> None:
        """What was stalled goes on where it stopped."""
        self._stalled.discard(part)
        self._refused.discard(part)
        for pair in self._of(part):
            pair.open.set()

    def _of(self, part: str) -> list[_Pair]:
        return [pair for pair in self._pairs if pair.part == part]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        part = self._part_at(writer.get_extra_info("peername")[1], self.port)
        if part in self._refused:
            await _gone(writer)
            return
        try:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            await _gone(writer)
            return
        pair = _Pair(part, writer, downstream)
        if part in self._stalled:
            pair.open.clear()
        self._pairs.add(pair)
        try:
            await asyncio.gather(_pump(pair, reader, downstream), _pump(pair, upstream, writer))
        finally:
            self._pairs.discard(pair)
            await _gone(*pair.writers)


async def _gone(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        with suppress(OSError):
            await writer.wait_closed()


async def _pump(pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side ends; then both do. (uvloop says by a RuntimeError that it has closed a connection.)"""
    with suppress(OSError, RuntimeError):
        while data := await reader.read(CHUNK_BYTES):
            await pair.open.wait()
            writer.write(data)
            await writer.drain()
    pair.abort()


def owner_of(port: int, at: int, pids: Collection[int]) -> int | None:
    """Which of the processes has the loopback connection from `port` to port `at` (Linux)."""
    inode = _inode(port, at)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    for pid in pids:
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            if any(_leads_to(entry.path, wanted) for entry in entries):
                return pid
    return None


def _leads_to(link: str, wanted: str) -> bool:
    try:
        return os.readlink(link) == wanted  # noqa: PTH115 - for a hundred at a time
    except OSError:
        return False


def _inode(port: int, at: int) -> str | None:
    """Lines of /proc/net/tcp: number, local address, remote address, state, …, inode as the tenth."""
    local, remote = f":{port:04X}", f":{at:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(local) and fields[2].endswith(remote):
            return fields[9]
    return None
