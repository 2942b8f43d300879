"""People who use a Ringpost from outside: their conversations, what they send, and their devices."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.builders import until
from tests.docs.running import ADMIN_KEY
from tests.patience import PATIENCE_S

SENDERS = 16
DEVICES = ("phone", "desk")


class Conversation(NamedTuple):
    conversation_id: str
    members: tuple[str, ...]


def socket_of(url: str, token: str, **options: Any) -> connect:
    """A device's connection to the API at this address, for the length of `async with`."""
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{url.replace('http', 'ws', 1)}/v1/connect"
    return connect(
        address, additional_headers=headers, compression=None, proxy=None, close_timeout=2, **options
    )


async def register(client: httpx.AsyncClient, url: str, user: str, devices: Sequence[str]) -> list[str]:
    """Make a user; the tokens of the devices."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}

    async def asked(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer, once there is one: on a starved machine a store may be away for a moment."""

        async def answer() -> httpx.Response | None:
            got = await client.request(method, f"{url}{path}", json=body, headers=headers)
            return None if got.status_code == httpx.codes.SERVICE_UNAVAILABLE else got

        response: httpx.Response = await until(answer)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    await asked("PUT", f"/v1/users/{user}", {})
    made = [await asked("POST", "/v1/tokens", {"user_id": user, "device_id": one}) for one in devices]
    return [str(one["token"]) for one in made]


class Device:
    """Connects to its gateway, or to another when that is gone, and comes and goes until told to stay.

    Keeps every entry that it was given, and what was wrong with it.
    """

    def __init__(self, user: str, token: str, urls: Sequence[str], rng: random.Random) -> None:
        self.user = user
        self.entries: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.connections = 0
        self._token = token
        self._urls = urls
        self._rng = rng
        self._awake = asyncio.Event()
        self._awake.set()
        self._stay = asyncio.Event()
        self._away = asyncio.Event()

    def sleep(self) -> None:
        """Disconnect, and stay away until `wake`."""
        self._awake.clear()
        self._away.set()

    def wake(self) -> None:
        self._away.clear()
        self._awake.set()

    def stay(self) -> None:
        """No more coming and going."""
        self._stay.set()
        self.wake()

    async def run(self) -> None:
        for url in itertools.cycle(self._urls):
            await self._awake.wait()
            with suppress(OSError, TimeoutError, ConnectionClosed, InvalidHandshake):
                await self._session(url)
                # The way back leads to the gateway of its own.
            if not self._stay.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stay.wait(), self._rng.uniform(0.0, 0.5))
            else:
                await asyncio.sleep(0.05)

    async def _session(self, url: str) -> None:
        async with socket_of(url, self._token) as socket:
            await socket.send(json.dumps({"type": "hello", "cursor": len(self.entries)}))
            self.connections += 1
            reading = asyncio.create_task(self._read(socket))
            try:
                await self._until_leaving(reading)
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await reading

    async def _until_leaving(self, reading: asyncio.Task[None]) -> None:
        waits = {reading, asyncio.create_task(self._away.wait())}
        try:
            await asyncio.wait(waits, timeout=self._rng.uniform(0.3, 3.0), return_when="FIRST_COMPLETED")
            if self._stay.is_set() and not self._away.is_set():
                await asyncio.wait(waits, return_when="FIRST_COMPLETED")
        finally:
            for task in waits - {reading}:
                task.cancel()

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "entries":
                for entry in frame["entries"]:
                    if entry["seq"] != len(self.entries) + 1:
                        self.faults.append(f"{entry['seq']} after {len(self.entries)} entries")
                    self.entries.append(entry)
            elif frame["type"] not in ("welcome", "heartbeat"):
                self.faults.append(f"unexpected frame {text!r}")


class World:
    """Users with two devices each, their conversations, and what was acknowledged."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str], seed: int) -> None:
        self.urls = urls
        self.rng = random.Random(seed)
        self.users: list[str] = []
        self.conversations: list[Conversation] = []
        self.devices: dict[str, list[Device]] = defaultdict(list)
        self.sent: dict[str, set[str]] = defaultdict(set)
        """By user, the ids of the acknowledged messages of conversations that the user is in."""
        self.acknowledged: dict[str, str] = {}
        """By client_message_id, the message id."""
        self._tokens: dict[str, str] = {}
        self._client = client
        self._names: list[str] = []

    async def add_users(self, count: int) -> None:
        self.users = [f"user-{number}" for number in range(count)]
        for user in self.users:
            for number, token in enumerate(await register(self._client, self.urls[0], user, DEVICES)):
                self._tokens[user] = token
                urls = [*self.urls[number:], *self.urls[:number]]
                rng = random.Random(self.rng.random())
                self.devices[user].append(Device(user, token, urls, rng))

    async def open_direct(self, one: str, other: str) -> Conversation:
        return await self._open(one, {"kind": "direct", "with": other}, (one, other))

    async def open_group(self, *members: str) -> Conversation:
        owner, *others = members
        return await self._open(owner, {"kind": "group", "members": others}, members)

    async def _open(self, user: str, body: dict[str, Any], members: tuple[str, ...]) -> Conversation:
        answer = await self._client.post(
            f"{self.urls[0]}/v1/conversations", json=body, headers=self._as(user)
        )
        answer.raise_for_status()
        opened = Conversation(answer.json()["conversation_id"], members)
        self.conversations.append(opened)
        return opened

    async def send_all(self, conversations: Sequence[Conversation]) -> None:
        """One message to each of them, in about this order, several at once; until all are acknowledged."""
        plan = iter([(it, self.rng.choice(it.members), self.rng.randrange(8)) for it in conversations])

        async def sender() -> None:
            for conversation, user, start in plan:
                await self._send(conversation, user, start)

        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(sender())

    async def _send(self, conversation: Conversation, user: str, start: int) -> None:
        name = f"c{len(self._names)}"
        self._names.append(name)
        tries = itertools.count(start)
        answer = await until(lambda: self._taken(conversation, user, name, next(tries)), PATIENCE_S)
        self.note_sent(name, conversation, answer["message_id"])

    def note_sent(self, name: str, conversation: Conversation, message_id: str) -> None:
        """The message is acknowledged, and due to all members."""
        assert name not in self.acknowledged
        self.acknowledged[name] = message_id
        for member in conversation.members:
            self.sent[member].add(message_id)

    async def _taken(
        self, conversation: Conversation, user: str, name: str, number: int
    ) -> dict[str, Any] | None:
        """The answer to a send that was taken; None if it may be tried again."""
        try:
            answer = await self.try_send(conversation, user, name, number)
        except httpx.TransportError:
            return None
        if answer.status_code not in (200, 201):
            assert answer.json()["error"]["retriable"], answer.text
            return None
        return dict(answer.json())

    async def try_send(
        self, conversation: Conversation, user: str, name: str, number: int = 0
    ) -> httpx.Response:
        """One try, at one of the API processes. Raises httpx.TransportError."""
        body = {
            "conversation_id": conversation.conversation_id,
            "client_message_id": name,
            "kind": "text",
            "body": {"text": f"text of {name}"},
        }
        url = self.urls[number % len(self.urls)]
        return await self._client.post(f"{url}/v1/messages", json=body, headers=self._as(user))

    async def change_members(
        self, method: str, conversation: Conversation, user: str, url: str
    ) -> httpx.Response:
        """PUT or DELETE by the first member, who owns the group."""
        path = f"/v1/conversations/{conversation.conversation_id}/members/{user}"
        return await self._client.request(method, url + path, headers=self._as(conversation.members[0]))

    async def view(self, user: str, conversation: Conversation) -> dict[str, Any]:
        path = f"{self.urls[0]}/v1/conversations/{conversation.conversation_id}"
        answer = await self._client.get(path, headers=self._as(user))
        answer.raise_for_status()
        seen: dict[str, Any] = answer.json()
        return seen

    async def pull(self, user: str, limit: int) -> list[dict[str, Any]]:
        """Everything from cursor 0, page after page."""
        entries: list[dict[str, Any]] = []
        cursor, more = 0, True
        while more:
            answer = await self._client.get(
                f"{self.urls[0]}/v1/sync", params={"cursor": cursor, "limit": limit}, headers=self._as(user)
            )
            answer.raise_for_status()
            page = answer.json()
            entries += page["entries"]
            cursor, more = page["cursor"], page["more"]
            assert not page["entries"] or cursor == page["entries"][-1]["seq"]
            assert more == (cursor < page["head"])
        return entries

    async def head(self, user: str) -> int:
        answer = await self._client.get(
            f"{self.urls[0]}/v1/sync", params={"cursor": 0, "limit": 1}, headers=self._as(user)
        )
        answer.raise_for_status()
        return int(answer.json()["head"])

    async def settled(self, user: str) -> None:
        """Wait until the inbox has as many entries as there are messages for the user."""

        async def there() -> bool:
            return await self.head(user) >= len(self.sent[user])

        await until(there, PATIENCE_S, 0.05)

    @asynccontextmanager
    async def devices_running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(device.run()) for some in self.devices.values() for device in some]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def check_devices(self) -> None:
        """Every device gets exactly what its user is due, as the inbox itself has it."""
        for some in self.devices.values():
            for device in some:
                device.stay()
        for user in self.users:
            await self.settled(user)
            for device in self.devices[user]:
                await until(lambda it=device: len(it.entries) >= len(self.sent[it.user]), PATIENCE_S)
        for user in self.users:
            first, second = self.devices[user]
            assert first.faults == second.faults == []
            self.check_entries(user, first.entries)
            assert second.entries == first.entries
            assert await self.pull(user, 100) == first.entries

    def check_entries(self, user: str, entries: list[dict[str, Any]]) -> None:
        """1..n without hole or duplicate, and exactly the acknowledged messages."""
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        ids = [entry["message"]["message_id"] for entry in entries]
        assert len(ids) == len(set(ids))
        assert set(ids) == self.sent[user]
        for entry in entries:
            message = entry["message"]
            assert self.acknowledged[message["client_message_id"]] == message["message_id"]

    async def until_acknowledged(self, count: int) -> None:
        await until(lambda: len(self.acknowledged) >= count, PATIENCE_S, 0.005)

    def _as(self, user: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[user]}"}


@asynccontextmanager
async def opened_world(urls: list[str], seed: int, users: int) -> AsyncIterator[World]:
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
        world = World(client, urls, seed)
        await world.add_users(users)
        yield world
