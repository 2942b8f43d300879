"""A whole Ringpost that may be broken: engines of its own, the network to them, and every part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from infra.local.stack import LocalEngines
from infra.settings import Settings
from tests.builders import settings_for
from tests.engines import Engines
from tests.system.parts import Parts
from tests.torture.clock import Clocks
from tests.torture.disk import mounted
from tests.torture.ledger import Ledger
from tests.torture.options import ENGINES, Options
from tests.torture.proxy import Proxy, owner_of
from tests.torture.supervisor import Supervisor

UNIQUE = "torture"
MONGO_DATA = Path("engines", "mongo", "data")
CAPACITY = 50
PARTITIONS = 8
IMPATIENT = {
    "RINGPOST_RING_CAPACITY": str(CAPACITY),
    "RINGPOST_KAFKA_PARTITIONS": str(PARTITIONS),
    "RINGPOST_OUTBOX_LEASE_S": "3",
    "RINGPOST_OUTBOX_SCAN_S": "0.5",
    "RINGPOST_WORKER_SESSION_S": "6",
    "RINGPOST_GATEWAY_HEARTBEAT_S": "5",
    "RINGPOST_GATEWAY_QUEUE_BYTES": "65536",
}


class Stage:
    """What a run acts on. `engines` are the addresses past every proxy."""

    def __init__(
        self,
        folder: Path,
        local: LocalEngines,
        proxies: dict[str, Proxy],
        supervisor: Supervisor,
        clocks: Clocks,
    ) -> None:
        self.mongo_data = folder / MONGO_DATA
        self.local = local
        self.proxies = proxies
        self.supervisor = supervisor
        self.clocks = clocks

    @property
    def engines(self) -> Engines:
        return Engines(self.local.url("mongo"), self.local.url("kafka"), self.local.url("redis"))

    @property
    def settings(self) -> Settings:
        """Of the parts, for looking into the engines beside them."""
        return settings_for(
            self.engines, UNIQUE, kafka={"partitions": PARTITIONS}, ring={"capacity": CAPACITY}
        )


@asynccontextmanager
async def opened_stage(options: Options, folder: Path, ledger: Ledger) -> AsyncIterator[Stage]:
    """Engines serve and parts are started (not ready yet) when the block begins; nothing is left after it."""
    async with AsyncExitStack() as stack:
        if "disk" in options.modes:
            stack.enter_context(mounted(folder / MONGO_DATA))
        proxies: dict[str, Proxy] = {}
        supervisors: list[Supervisor] = []

        def part_at(port: int, at: int) -> str | None:
            pid = owner_of(port, at, supervisors[0].pids()) if supervisors else None
            return None if pid is None else supervisors[0].part_of(pid)

        if "cut" in options.modes:
            for engine in ENGINES:
                proxies[engine] = Proxy(part_at)
                await proxies[engine].open()
                stack.push_async_callback(proxies[engine].close)
        advertised = proxies["kafka"].port if proxies else None
        local = await stack.enter_async_context(
            LocalEngines(folder / "engines", kafka_advertised_port=advertised)
        )
        for engine, proxy in proxies.items():
            proxy.target = local.port(engine)
        (folder / "parts").mkdir()
        parts = Parts(_seen_by_parts(local, proxies), UNIQUE, folder / "parts", **IMPATIENT)
        stack.push_async_callback(parts.kill)
        clocks = Clocks(folder / "clocks", "clock" in options.modes)
        supervisor = Supervisor(parts, clocks.settings, ledger.note)
        supervisors.append(supervisor)
        for place in supervisor.places.values():
            supervisor.start(place)
        yield Stage(folder, local, proxies, supervisor, clocks)


def _seen_by_parts(local: LocalEngines, proxies: dict[str, Proxy]) -> Engines:
    if not proxies:
        return Engines(local.url("mongo"), local.url("kafka"), local.url("redis"))
    mongo, kafka, redis = (f"127.0.0.1:{proxies[engine].port}" for engine in ENGINES)
    return Engines(f"mongodb://{mongo}/?directConnection=true", kafka, f"redis://{redis}/0")
