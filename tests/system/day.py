"""`python -m tests.system.day`: a day in the life of a Ringpost, and whether all devices agree in the end.

Users with several devices each use all of it, and devices come and go. In the end the state of every device,
by its entries alone, is what the model says and what the API answers; and no recalled text is left. Engines
are those of RINGPOST_TEST_ENGINES (embedded, if absent). Exit code 1 if there is a difference.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import redis.asyncio as redis

from tests.builders import until
from tests.engines import WAYS, Engines
from tests.patience import PATIENCE_S
from tests.replica import SETTINGS, Replica, shown
from tests.system.life import Life
from tests.system.model import Talk
from tests.system.parts import opened_parts
from tests.system.people import Device, register
from tests.texts import tokens_in

PARTS = ("api", "api", "inbox", "inbox", "push", "relay")
IMPATIENT = {
    "RINGPOST_RING_CAPACITY": "60",
    "RINGPOST_OUTBOX_LEASE_S": "2",
    "RINGPOST_OUTBOX_SCAN_S": "0.5",
    "RINGPOST_WORKER_SESSION_S": "6",
}
SHOWN = 20
"""So many differences are printed."""

ME = ("read_seq", "marked_unread", "unread", *SETTINGS)


class Day:
    """`unique` is the prefix of the keys in Redis."""

    def __init__(
        self, client: httpx.AsyncClient, urls: list[str], engines: Engines, unique: str, seed: int
    ) -> None:
        self.urls = urls
        self._client = client
        self._engines = engines
        self._unique = unique
        self._rng = random.Random(seed)
        self._tokens: dict[str, str] = {}
        self._devices: dict[str, list[Device]] = {}
        self._running: list[asyncio.Task[None]] = []
        self.life = Life(client, urls, self._tokens, seed)

    # ------------------------------------------------------------ the people

    async def begin(self, users: int, devices: int) -> None:
        """Users and conversations. The last device of each user comes later, and knows nothing then."""
        names = [f"user-{number:02}" for number in range(users)]
        for user in names:
            tokens = await register(self._client, self.urls[0], user, [f"d{n}" for n in range(devices)])
            self._tokens[user] = tokens[0]
            rng = self._rng.random
            self._devices[user] = [
                Device(user, token, [*self.urls[n % 2 :], *self.urls[: n % 2]], random.Random(rng()))
                for n, token in enumerate(tokens)
            ]
        sizes = [min(users, self._rng.randint(3, 8)) for _ in range(max(2, users // 5))]
        groups = [tuple(self._rng.sample(names, size)) for size in sizes]
        pairs = {tuple(sorted(self._rng.sample(names, 2))) for _ in range(users)}
        for members in [*groups, *sorted(pairs), (names[0], names[0])]:
            self.life.talks.append(await self._open(members))

    async def _open(self, members: Sequence[str]) -> Talk:
        owner, *others = members
        asked: dict[str, Any] = {"kind": "group", "members": others}
        if len(members) == 2:
            asked = {"kind": "direct", "with": others[0]}
        headers = {"Authorization": f"Bearer {self._tokens[owner]}"}
        answer = await self._client.post(f"{self.urls[0]}/v1/conversations", json=asked, headers=headers)
        answer.raise_for_status()
        return Talk(answer.json()["conversation_id"], tuple(dict.fromkeys(members)))

    @asynccontextmanager
    async def devices_running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            first = [device for some in self._devices.values() for device in some[:-1]]
            self._running = [group.create_task(device.run()) for device in first]
            self._group = group
            try:
                yield
            finally:
                for task in self._running:
                    task.cancel()

    def bring_the_last_devices(self) -> None:
        self._running += [self._group.create_task(some[-1].run()) for some in self._devices.values()]

    # ------------------------------------------------------------ the end

    async def differences(self) -> list[str]:
        """Once all is at rest: what is not as it should be."""
        for some in self._devices.values():
            for device in some:
                device.stay()
        found: list[str] = []

        async def none_left() -> bool:
            await self._at_rest()
            found[:] = [*self.life.differences, *await self._all_differences()]
            return not found

        with suppress(AssertionError):
            await until(none_left, PATIENCE_S / 2, 1.0)
        return found

    async def _at_rest(self) -> None:
        """Every device has the whole inbox of its user, as it is now."""
        for user, some in self._devices.items():
            page = await self._get(user, "/v1/sync?cursor=0&limit=1")
            for device in some:
                await until(
                    lambda device=device, head=page["head"]: len(device.entries) >= head, PATIENCE_S, 0.1
                )

    async def _all_differences(self) -> list[str]:
        found = [
            f"{device.user}: {fault}"
            for some in self._devices.values()
            for device in some
            for fault in device.faults
        ]
        gone = {one.name for talk in self.life.talks for one in talk.messages.values() if one.recalled}
        for user, devices in self._devices.items():
            replicas = [_replica(device) for device in devices]
            seen: dict[str, set[str]] = {"the ring": tokens_in(await self._ring(user))}
            _look("a pull", await self._pages(user), seen)
            views = await self._views(user, seen)
            for talk in self.life.talks:
                if user in talk.members:
                    found += _unlike(user, talk, replicas, views.get(talk.conversation_id))
            found += [
                f"the text of {name}, which was recalled, stands in {where} of {user}"
                for where, names in seen.items()
                for name in sorted(names & gone)
            ]
        return found

    async def _ring(self, user: str) -> bytes:
        async with redis.Redis.from_url(self._engines.redis_url) as client:
            return b"".join(await client.lrange(f"{self._unique}:{{u:{user}}}:ring", 0, -1))

    async def _pages(self, user: str) -> list[bytes]:
        """Everything from cursor 0."""
        raw: list[bytes] = []
        cursor, more = 0, True
        while more:
            answer = await self._answer(user, f"/v1/sync?cursor={cursor}&limit=100")
            raw.append(answer.content)
            cursor, more = answer.json()["cursor"], answer.json()["more"]
        return raw

    async def _views(self, user: str, seen: dict[str, set[str]]) -> dict[str, dict[str, Any]]:
        """What the API answers of each conversation, and whose texts stand in its answers."""
        views = {}
        cursor, more = "", True
        while more:
            answer = await self._answer(user, f"/v1/conversations?limit=50{cursor}")
            _look("the list", [answer.content], seen)
            page = answer.json()
            for row in page["conversations"]:
                views[row["conversation_id"]] = await self._view(user, row, seen)
            cursor, more = f"&cursor={page['cursor']}", page["more"]
        return views

    async def _view(self, user: str, row: dict[str, Any], seen: dict[str, set[str]]) -> dict[str, Any]:
        path = f"/v1/conversations/{row['conversation_id']}"
        history: dict[str, dict[str, Any]] = {}
        after, more = 0, True
        while more:
            answer = await self._answer(user, f"{path}/messages?after={after}&limit=100")
            _look("the history", [answer.content], seen)
            page = answer.json()
            history |= {one["message_id"]: shown(one) for one in page["messages"]}
            after = page["messages"][-1]["seq"] if page["messages"] else after
            more = page["more"]
        for name in [name for name, one in history.items() if one["recalled"]]:
            for kind in ("", "/versions"):
                raw = await self._answer(user, f"/v1/messages/{name}{kind}", may_fail=bool(kind))
                _look(f"a message{kind}", [raw.content], seen)
        pins = [one["message_id"] for one in (await self._get(user, f"{path}/pins"))["messages"]]
        me = {name: row["me"][name] for name in ME}
        return {"history": history, "pins": pins, "own state": me, "mentions": row["me"]["mentions"]}

    async def _get(self, user: str, path: str) -> dict[str, Any]:
        return dict((await self._answer(user, path)).json())

    async def _answer(self, user: str, path: str, *, may_fail: bool = False) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        answer = await self._client.get(self._rng.choice(self.urls) + path, headers=headers)
        if not may_fail:
            answer.raise_for_status()
        return answer


def _look(where: str, raw: Iterable[bytes], seen: dict[str, set[str]]) -> None:
    for one in raw:
        seen.setdefault(where, set()).update(tokens_in(one))


def _replica(device: Device) -> Replica:
    replica = Replica(device.user)
    for entry in device.entries:
        replica.take(entry["type"], entry[entry["type"]])
    return replica


def _unlike(user: str, talk: Talk, replicas: Sequence[Replica], view: dict[str, Any] | None) -> list[str]:
    """Where the API, the devices and the model do not say the same of a conversation."""
    c = talk.conversation_id
    if view is None:
        return [f"{user} has no conversation {c} in the list"]
    model = {"history": talk.history(user), "pins": talk.pins(user), "own state": talk.me(user)}
    by_whom = {"the API": view} | {
        f"device {number}": {
            "history": replica.history(c),
            "pins": replica.pins(c),
            "own state": replica.me(c),
        }
        for number, replica in enumerate(replicas)
    }
    found = []
    for who, said in by_whom.items():
        for what, expected in model.items():
            found += _parts_unlike(f"{what} of {user} in {c}", who, said[what], expected)
    if view["mentions"] != talk.mentions(user):
        found.append(f"{user} in {c}: {view['mentions']} mentions, and the model says {talk.mentions(user)}")
    revs = {name: one["rev"] for name, one in view["history"].items()}
    found += [
        f"the rev of {name} on device {number} of {user} is {one['rev']}, and the API says {revs[name]}"
        for number, replica in enumerate(replicas)
        for name, one in replica.history(c).items()
        if name in revs and one["rev"] != revs[name]
    ]
    return found


def _parts_unlike(what: str, who: str, said: Any, expected: Any) -> list[str]:
    if not isinstance(said, dict):
        return [] if said == expected else [f"{what}: {who} says {said}, and the model {expected}"]
    return [
        f"{what}, {name}: {who} says {said.get(name)}, and the model {expected.get(name)}"
        for name in sorted(said.keys() | expected.keys())
        if _without_rev(said.get(name)) != _without_rev(expected.get(name))
    ]


def _without_rev(value: Any) -> Any:
    """The model has no revisions."""
    return {k: v for k, v in value.items() if k != "rev"} if isinstance(value, dict) else value


@asynccontextmanager
async def opened_day(urls: list[str], engines: Engines, unique: str, seed: int) -> AsyncIterator[Day]:
    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False, limits=limits) as client:
        yield Day(client, urls, engines, unique, seed)


async def lived(
    engines: Engines, unique: str, folder: Path, *, users: int, devices: int, events: int, seed: int
) -> tuple[Day, list[str]]:
    """A whole day, and the differences."""
    async with opened_parts(engines, unique, folder, **IMPATIENT) as parts:
        first, second, *_ = await parts.start(*PARTS)
        async with opened_day([first.url, second.url], engines, unique, seed) as day:
            await day.begin(users, devices)
            async with day.devices_running():
                await day.life.live(day.life.talks, events // 2)
                day.bring_the_last_devices()
                await day.life.live(day.life.talks, events - events // 2)
                return day, await day.differences()


def main() -> None:
    made = argparse.ArgumentParser(prog="python -m tests.system.day", description=__doc__.split("\n", 1)[0])
    for name, default in (("users", 50), ("devices", 3), ("events", 3000), ("seed", 1)):
        made.add_argument(f"--{name}", type=int, default=default)
    asked = made.parse_args()
    if asked.users < 3 or asked.devices < 2:
        made.error("--users must be at least 3, and --devices at least 2")
    way = WAYS[os.environ.get("RINGPOST_TEST_ENGINES") or "embedded"]
    with way() as engines, tempfile.TemporaryDirectory(prefix="ringpost-day-") as folder:
        unique = f"day{secrets.token_hex(4)}"
        day, found = asyncio.run(lived(engines, unique, Path(folder), **vars(asked)))
    sys.stdout.write(f"{day.life.done} events, {len(found)} differences\n")
    sys.stdout.writelines(f"  {one}\n" for one in found[:SHOWN])
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
