"""`python -m tests.torture.felt`: what people feel of a fault, while it lasts and a minute later.

Engines of its own, and `ringpost up` beside them: it keeps the parts running, as a service manager does. A
few people write to each other at a steady pace and pull, whatever breaks. Whoever is refused, or finds
nobody, tries again; the time counts from when the message was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.cpu import loop_s
from benchmarks.wire import Http
from infra.local.ports import free_port
from infra.local.process import tied
from infra.local.stack import LocalEngines
from infra.tasks import ended
from ringpost.output import write
from tests.builders import until
from tests.docs.running import ADMIN_KEY, ROOT, TOKEN_KEY
from tests.system.people import register, socket_of

PAIRS = 10
SENDS_PER_S = 20.0
PULLS_PER_S = 10.0
SETTLING_S = 5.0
BEFORE_S = 10.0
AFTER_S = 75.0
UNBROKEN_S = 10.0
FIRST_S = 3.0
"""So long a fault may be felt before the system has adapted to it."""
AGAIN_S = 0.1
ANSWER_S = 15.0
START_S = 60.0
STARTS = 10
CALM_S = 8.0
"""Traffic between two starts, or two restarts of parts."""
ROLES = ("api", "inbox", "push", "relay")


class Felt(NamedTuple):
    """`kind` is `answer`, `push` or `pull`; `due` is when it should have happened."""

    kind: str
    due: float
    seconds: float


class Ringpost:
    """`ringpost up` of a checkout, on engines that are given."""

    def __init__(self, checkout: Path, engines: LocalEngines, folder: Path) -> None:
        self.engines = engines
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._checkout = checkout
        self._folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
        self._environment = kept | {
            "PYTHONPATH": str(checkout),
            "RINGPOST_MONGO_URL": engines.url("mongo"),
            "RINGPOST_KAFKA_BOOTSTRAP": engines.url("kafka"),
            "RINGPOST_REDIS_URL": engines.url("redis"),
            "RINGPOST_HTTP_PORT": str(self.port),
            "RINGPOST_ADMIN_KEY": ADMIN_KEY,
            "RINGPOST_TOKEN_KEY": TOKEN_KEY,
            "RINGPOST_DATA_DIR": str(folder),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when all parts are ready."""
        with (self._folder / "up.log").open("a") as log:
            log.write("\n")
            began = log.tell()
            self._process = subprocess.Popen(
                tied([sys.executable, "-m", "ringpost", "up"]),
                cwd=self._checkout,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        await until(lambda: b"Ringpost is ready" in self._said(began), START_S)

    def _said(self, since: int) -> bytes:
        return (self._folder / "up.log").read_bytes()[since:]

    async def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            await asyncio.to_thread(self._process.wait, START_S)

    def part(self, role: str) -> int:
        """The process id of a part."""
        assert self._process is not None
        words = b"\0api\0" if role == "api" else b"\0worker\0%b\0" % role.encode()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        found = [int(pid) for pid in children if words in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return found[0]


class People:
    """They write and pull until the block ends. `felt` grows; `refused` counts what was not done at once."""

    def __init__(self, ringpost: Ringpost) -> None:
        self.felt: list[Felt] = []
        self.refused: Counter[str] = Counter()
        self._ringpost = ringpost
        self._http = Http("127.0.0.1", ringpost.port, 2_000)
        self._tokens: list[tuple[str, str]] = []
        self._conversations: list[str] = []
        self._heads = [0] * PAIRS
        self._due: dict[int, float] = {}
        self._open: set[int] = set()
        self._online: set[int] = set()

    async def settle_in(self) -> None:
        async with httpx.AsyncClient(timeout=START_S, trust_env=False) as client:
            for pair in range(PAIRS):
                (writer,) = await register(client, self._ringpost.url, f"writer{pair}", ["phone"])
                (reader,) = await register(client, self._ringpost.url, f"reader{pair}", ["phone"])
                self._tokens.append((writer, reader))
                asked = json.dumps({"kind": "direct", "with": f"reader{pair}"}).encode()
                answer = await self._http.call("POST", "/v1/conversations", writer, asked)
                self._conversations.append(json.loads(answer.body)["conversation_id"])

    @asynccontextmanager
    async def at_it(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._read(pair)) for pair in range(PAIRS)]
        await until(lambda: len(self._online) == PAIRS, START_S)
        tasks += [
            asyncio.create_task(_at_pace(SENDS_PER_S, self._send)),
            asyncio.create_task(_at_pace(PULLS_PER_S, self._pull)),
        ]
        try:
            yield
        finally:
            await ended(tasks)
            await self._http.close()

    @property
    def waiting(self) -> int:
        """Messages that were due and have not reached their reader."""
        return len(self._open)

    def open_since(self, since: float) -> bool:
        """Whether a message that was due before has not arrived."""
        return any(self._due[number] < since for number in self._open)

    async def _send(self, number: int, due: float) -> None:
        pair = number % PAIRS
        self._due[number] = due
        self._open.add(number)
        body = {
            "conversation_id": self._conversations[pair],
            "client_message_id": f"m{number}",
            "kind": "text",
            "body": {"text": f"#{number}#".ljust(300, "x")},
        }
        await self._until_done("POST", "/v1/messages", self._tokens[pair][0], json.dumps(body).encode())
        self.felt.append(Felt("answer", due, time.monotonic() - due))

    async def _pull(self, number: int, due: float) -> None:
        pair = number % PAIRS
        path = f"/v1/sync?limit=20&cursor={max(0, self._heads[pair] - 5)}"
        await self._until_done("GET", path, self._tokens[pair][1])
        self.felt.append(Felt("pull", due, time.monotonic() - due))

    async def _until_done(self, method: str, path: str, token: str, body: bytes = b"") -> None:
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._http.call(method, path, token, body)
                if answer.status < 300:
                    return
                self.refused[json.loads(answer.body)["error"]["code"]] += 1
            except OSError:
                self.refused["nobody there"] += 1
            except TimeoutError:
                self.refused["no answer"] += 1
            await asyncio.sleep(AGAIN_S)

    async def _read(self, pair: int) -> None:
        """The reader's device: online, and again after its connection ended."""
        while True:
            with suppress(OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                async with socket_of(self._ringpost.url, self._tokens[pair][1]) as socket:
                    await socket.send(json.dumps({"type": "hello", "cursor": self._heads[pair]}))
                    async for text in socket:
                        self._arrived(pair, json.loads(text))
            await asyncio.sleep(AGAIN_S)

    def _arrived(self, pair: int, frame: dict) -> None:
        now = time.monotonic()
        self._online.add(pair)
        for entry in frame.get("entries", ()):
            self._heads[pair] = entry["seq"]
            if entry["type"] == "message":
                number = int(entry["message"]["body"]["text"].split("#")[1])
                self._open.discard(number)
                self.felt.append(Felt("push", self._due[number], now - self._due[number]))


async def _at_pace(per_s: float, act: Callable[[int, float], Awaitable[None]]) -> None:
    """`act(n, due)` at n/rate, whether or not earlier ones have ended."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        number = 0
        while True:
            due = began + number / per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(act(number, due))
            number += 1


# ---------------------------------------------------------------- faults


async def _stopped(ringpost: Ringpost, engine: str, seconds: float) -> None:
    pid = ringpost.engines.pid(engine)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


async def _killed(ringpost: Ringpost, engine: str, seconds: float) -> None:
    os.kill(ringpost.engines.pid(engine), signal.SIGKILL)
    await asyncio.sleep(seconds)
    await ringpost.engines.restart(engine)


async def _part_killed(ringpost: Ringpost, role: str) -> None:
    os.kill(ringpost.part(role), signal.SIGKILL)


async def _rolling(ringpost: Ringpost) -> None:
    for role in ROLES:
        os.kill(ringpost.part(role), signal.SIGTERM)
        await asyncio.sleep(CALM_S)


Fault = Callable[[Ringpost], Awaitable[None]]

FAULTS: dict[str, Fault] = {
    "none": lambda _: asyncio.sleep(UNBROKEN_S),
    "kafka-stopped": lambda it: _stopped(it, "kafka", 8.0),
    "kafka-killed": lambda it: _killed(it, "kafka", 0.0),
    "redis-stopped": lambda it: _stopped(it, "redis", 100.0),
    "redis-killed": lambda it: _killed(it, "redis", 100.0),
    "mongo-killed": lambda it: _killed(it, "mongo", 0.0),
    "inbox-killed": lambda it: _part_killed(it, "inbox"),
    "push-killed": lambda it: _part_killed(it, "push"),
    "api-killed": lambda it: _part_killed(it, "api"),
    "rolling": _rolling,
}


async def suffer(ringpost: Ringpost, people: People, name: str) -> None:
    """Break it, mend it, and show what was felt before, meanwhile and afterwards."""
    await asyncio.sleep(SETTLING_S + BEFORE_S)
    people.refused.clear()
    began = time.monotonic()
    await FAULTS[name](ringpost)
    ended = time.monotonic()
    while people.open_since(ended):
        await asyncio.sleep(0.02)
    caught_up_s = time.monotonic() - ended
    await asyncio.sleep(max(0.0, AFTER_S - caught_up_s))
    write(f"\n{name}, {ended - began:.1f} s (loop {loop_s():.3f} s)")
    write(f"  all that was due before its end had arrived {caught_up_s:.1f} s after it")
    write(f"  refused or unanswered at first: {dict(people.refused) or 'nothing'}")
    write(f"  {'due':28}{'answer p50/max':>18}{'push p50/max':>18}{'pull p50/max':>18}  ms")
    for label, low, high in (
        ("before", began - BEFORE_S, began),
        (f"its first {FIRST_S:.0f} s", began, min(began + FIRST_S, ended)),
        ("the rest of it", began + FIRST_S, ended),
        ("up to 5 s after", ended, ended + 5),
        ("5 to 15 s after", ended + 5, ended + 15),
        ("60 to 75 s after", ended + 60, ended + 75),
    ):
        if high > low:
            cells = [_cell(people.felt, kind, low, high) for kind in ("answer", "push", "pull")]
            write(f"  {label:28}" + "".join(f"{cell:>18}" for cell in cells))


async def start_again_and_again(ringpost: Ringpost, people: People) -> None:
    """Stop all parts and start them, while people go on writing."""
    write(f"\n{STARTS} starts under load (loop {loop_s():.3f} s)")
    for number in range(1, STARTS + 1):
        await ringpost.stop()
        await ringpost.start()
        ready = time.monotonic()
        await asyncio.sleep(CALM_S)
        end = time.monotonic() - 1.0
        late = [one for one in people.felt if one.kind == "push" and ready <= one.due < end]
        cells = [_cell(people.felt, kind, ready, end) for kind in ("answer", "push", "pull")]
        shown = ", ".join(cells)
        write(f"  start {number:2}: {len(late)} pushes; answer, push, pull p50 / max ms: {shown}")


def _cell(felt: Sequence[Felt], kind: str, low: float, high: float) -> str:
    found = [1000 * one.seconds for one in felt if one.kind == kind and low <= one.due < high]
    return f"{statistics.median(found):.0f} / {max(found):.0f}" if found else "–"


async def run(names: Sequence[str], checkout: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ringpost-felt-", ignore_cleanup_errors=True) as folder:
        async with AsyncExitStack() as stack:
            (Path(folder) / "up").mkdir()
            engines = await stack.enter_async_context(LocalEngines(Path(folder) / "engines"))
            ringpost = Ringpost(checkout, engines, Path(folder) / "up")
            await ringpost.start()
            stack.push_async_callback(ringpost.stop)
            people = People(ringpost)
            await people.settle_in()
            async with people.at_it():
                for name in names:
                    if name == "starts":
                        await start_again_and_again(ringpost, people)
                    else:
                        await suffer(ringpost, people, name)
                await until(lambda: people.waiting < SENDS_PER_S, START_S)


def main() -> None:
    known = (*FAULTS, "starts")
    made = argparse.ArgumentParser(prog="python -m tests.torture.felt", description=__doc__)
    made.add_argument("faults", nargs="*", default=known, help=f"of {', '.join(known)} (all)")
    made.add_argument("--checkout", type=Path, default=ROOT, help="the Ringpost that is measured (this one)")
    asked = made.parse_args()
    if unknown := set(asked.faults) - set(known):
        made.error(f"there is no {', '.join(sorted(unknown))}")
    asyncio.run(run(asked.faults, asked.checkout.resolve()))


if __name__ == "__main__":
    main()
