"""The engines of one data folder. They start side by side and end with this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Self

from infra.local.folder import FolderLock
from infra.local.kafka import KafkaServer
from infra.local.mongo import MongoServer
from infra.local.process import LocalEngineError
from infra.local.redis import RedisServer
from infra.local.server import EngineInfo, Server, Tell

ENGINES: dict[str, type[Server]] = {kind.key: kind for kind in (MongoServer, KafkaServer, RedisServer)}


def _silent(event: object) -> None:
    pass


class LocalEngines:
    """`async with LocalEngines(folder) as engines:` real servers on loopback, until the block ends.

    Their data is there again when the same folder is used again. Addresses never change inside the block.
    The servers die with the thread that entered it, even if that is killed. One folder serves one block at a
    time. `on_event` is called with a sentence on what takes long, `on_starting` with the name of each server
    when it starts, `on_serving` with each server once it serves. If `kafka_advertised_port` is given, Kafka
    names it to its clients. The listener there must forward to Kafka.
    """

    def __init__(
        self,
        data_dir: Path,
        on_event: Tell = _silent,
        which: Collection[str] = tuple(ENGINES),
        kafka_advertised_port: int | None = None,
        on_starting: Callable[[str], None] = _silent,
        on_serving: Callable[[EngineInfo], None] = _silent,
    ) -> None:
        if unknown := set(which) - set(ENGINES):
            raise ValueError(f"no such engine: {', '.join(sorted(unknown))}")
        folder = Path(data_dir).resolve()
        self._lock = FolderLock(folder, on_event)
        self._on_starting = on_starting
        self._on_serving = on_serving
        self._servers = {key: kind(folder / key, on_event) for key, kind in ENGINES.items() if key in which}
        kafka = self._servers.get("kafka")
        if isinstance(kafka, KafkaServer):
            kafka.advertised_port = kafka_advertised_port

    async def __aenter__(self) -> Self:
        """All of them serve when this returns. LocalEngineError otherwise, and nothing is left running."""
        for server in self._servers.values():
            server.check_limits()
        await self._lock.take()
        try:
            async with asyncio.TaskGroup() as starting:
                for server in self._servers.values():
                    starting.create_task(self._start(server))
        except BaseException as error:
            await self._close()
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0] from None
            raise
        return self

    async def _start(self, server: Server) -> None:
        self._on_starting(server.name)
        await server.start(keep_open=(self._lock.fd,))
        self._on_serving(server.info)

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def url(self, name: str) -> str:
        """Where clients find `mongo`, `kafka` or `redis`."""
        return self._server(name).url

    @property
    def running(self) -> list[EngineInfo]:
        """What was started: name, version, address, and where the program comes from."""
        return [server.info for server in self._servers.values()]

    def port(self, name: str) -> int:
        """The port on which `mongo`, `kafka` or `redis` itself listens."""
        return int(self._server(name).address.rpartition(":")[2])

    def pid(self, name: str) -> int:
        """The process id of `mongo`, `kafka` or `redis`."""
        return self._server(name).pid

    async def wait_crash(self) -> str:
        """Wait until an engine's process has ended. Returns its name. Returns at once if one has ended
        before.
        """
        if not self._servers:
            await asyncio.Event().wait()
        waiting = {asyncio.create_task(server.wait()): key for key, server in self._servers.items()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return waiting[done.pop()]

    async def restart(self, name: str) -> None:
        """Start `name` again on the same data and address. Stops it first if it still runs."""
        await self._server(name).restart(keep_open=(self._lock.fd,))

    def _server(self, name: str) -> Server:
        try:
            return self._servers[name]
        except KeyError:
            raise LocalEngineError(f"The engine {name} is not one of those started here.") from None

    async def _close(self) -> None:
        """Stop all side by side, even if some fail. Then the folder is free."""
        try:
            await asyncio.gather(
                *(server.stop() for server in self._servers.values()), return_exceptions=True
            )
        finally:
            self._lock.release()
