"""Keeps every part running, whatever ends it: what a service manager does in production."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.wire import Http
from infra.local.ports import free_port
from tests.system.parts import Part, Parts
from tests.torture.options import PARTS

LOOK_S = 0.05
AGAIN_S = 0.5
LOOK_AT_HEALTH_S = 5.0
STOP_S = 25.0
"""A part that was told to stop is to be gone by then."""


@dataclass
class Place:
    """Where one part runs: always on the same port, in one process after the other."""

    name: str
    port: int
    settings: Mapping[str, str]
    part: Part | None = None
    held: bool = False
    """Whoever holds it starts it again."""

    @property
    def role(self) -> str:
        return self.name.split("-", maxsplit=1)[0]


class Supervisor:
    """Starts all parts; starts one again that ended by itself, and tells of it by `on_event`."""

    def __init__(
        self,
        parts: Parts,
        settings: Callable[[str], Mapping[str, str]],
        on_event: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._on_event = on_event
        self.places: dict[str, Place] = {}
        for name in PARTS:
            port = free_port()
            variable = "RINGPOST_HTTP_PORT" if name.startswith("api") else "RINGPOST_WORKER_PORT"
            own = {variable: str(port), **settings(name)}
            self.places[name] = Place(name, port, own)

    @property
    def apis(self) -> list[str]:
        return [f"http://127.0.0.1:{place.port}" for place in self.places.values() if place.role == "api"]

    def part_of(self, pid: int) -> str | None:
        """The name of the part that is this process."""
        for place in self.places.values():
            if place.part is not None and place.part.pid == pid:
                return place.name
        return None

    def pids(self) -> list[int]:
        return [place.part.pid for place in self.places.values() if place.part is not None]

    def named(self, target: str) -> list[Place]:
        """One part by its name, or all of a role."""
        return [place for place in self.places.values() if target in (place.name, place.role)]

    # -------------------------------------------------------------- its life

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for place in self.places.values():
                if place.part is not None and not place.held and not place.part.alive:
                    self._on_event(f"{place.name} ended by itself with {place.part.exit_code}")
                    place.held = True
                    asyncio.get_running_loop().call_later(AGAIN_S, self.start, place)
            await asyncio.sleep(LOOK_S)

    def start(self, place: Place) -> None:
        if place.part is None or not place.part.alive:
            place.part = self._parts.spawn(place.role, **place.settings)
        place.held = False

    async def kill(self, place: Place) -> None:
        """kill -9; held until `start`."""
        place.held = True
        if place.part is not None:
            await place.part.kill()

    async def stop(self, place: Place) -> None:
        """SIGTERM; held until `start`. What does not end, or not well, is told."""
        place.held = True
        if place.part is None:
            return
        place.part.signal(signal.SIGTERM)
        give_up = time.monotonic() + STOP_S
        while place.part.alive and time.monotonic() < give_up:
            await asyncio.sleep(LOOK_S)
        if place.part.alive:
            self._on_event(f"{place.name} did not stop within {STOP_S:.0f} s")
            await place.part.kill()
        elif place.part.exit_code not in (0, -signal.SIGTERM):
            # Minus SIGTERM: it was still importing, and had no handler yet.
            self._on_event(f"{place.name} ended with {place.part.exit_code} when told to stop")

    async def ready(self, deadline_s: float) -> list[str]:
        """Wait until every part finds itself ready; those that did not in time."""
        give_up = time.monotonic() + deadline_s
        waiting = dict(self.places)
        while waiting and time.monotonic() < give_up:
            for name, place in list(waiting.items()):
                if place.part is not None and place.part.alive and await _says_ready(place.port):
                    del waiting[name]
            await asyncio.sleep(0.1)
        return list(waiting)


async def _says_ready(port: int) -> bool:
    http = Http("127.0.0.1", port, 1)
    try:
        async with asyncio.timeout(LOOK_AT_HEALTH_S):
            return (await http.call("GET", "/health/ready", "")).status == 200
    except (OSError, TimeoutError):
        return False
    finally:
        await http.close()
