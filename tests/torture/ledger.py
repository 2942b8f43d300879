"""What the people of a run saw, as they saw it: every send, change and entry, with its time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import NamedTuple

from tests.replica import Replica
from tests.torture.facts import Acting, Changing, Connection, Facts, Sending
from tests.torture.wire import Entry


class Latency(NamedTuple):
    at: float
    seconds: float


class Ledger:
    """Times are seconds since the beginning of the traffic, by the monotonic clock."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._over = asyncio.Event()
        self._ended_at = math.inf
        self.sendings: dict[str, Sending] = {}
        self.changings: list[Changing] = []
        self.acts: list[Acting] = []
        self.acknowledged: dict[str, list[Sending]] = defaultdict(list)
        """By conversation, in the order of the answers."""
        self.replicas: dict[tuple[str, str], Replica] = {}
        self.connections: list[Connection] = []
        self.devices: dict[tuple[str, str], int] = {}
        self.complaints: list[tuple[float, str]] = []
        self.errors: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.answers: list[Latency] = []
        self.receipts: list[Latency] = []
        self.notes: list[tuple[float, str]] = []

    def start(self) -> None:
        """The traffic begins now."""
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def end(self) -> None:
        """The traffic is over: what is planned for later is left out."""
        self._ended_at = self.now
        self._over.set()

    async def comes(self, at_s: float) -> bool:
        """Wait for this moment of the traffic; False once the traffic has ended before it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, at_s - self.now)):
                await self._over.wait()
        return at_s <= self._ended_at

    def begin(self, name: str, conversation_id: str, sender: str, text: str) -> Sending:
        self.sendings[name] = Sending(name, conversation_id, sender, text, self.now)
        return self.sendings[name]

    def answered(self, sending: Sending, message_id: str) -> None:
        now = self.now
        if not sending.answers:
            self.answers.append(Latency(now, now - sending.begun_at))
            self.acknowledged[sending.conversation_id].append(sending)
        sending.answers.append((now, message_id))

    def received(self, connection: Connection, entry: Entry) -> None:
        """An entry at a device. Those sent while the device was connected count for the time it took."""
        connection.entries.append(entry.got())
        device = connection.user, connection.device
        self.devices[device] = entry.seq
        self.replicas.setdefault(device, Replica(connection.user)).take(entry.type, entry.value)
        sending = self.sendings.get(entry.name)
        if sending is not None and sending.begun_at > connection.at:
            self.receipts.append(Latency(self.now, self.now - sending.begun_at))

    def complain(self, said: str) -> None:
        """What must never be."""
        self.complaints.append((self.now, said))

    def note(self, said: str) -> None:
        self.notes.append((self.now, said))

    def fill(self, facts: Facts) -> None:
        """What was seen, as facts."""
        facts.sendings = list(self.sendings.values())
        facts.changings = list(self.changings)
        facts.connections = list(self.connections)
        facts.acts = list(self.acts)
        facts.replicas = dict(self.replicas)
        facts.devices = dict(self.devices)
        facts.complaints = list(self.complaints)
