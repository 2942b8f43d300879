"""Every device comes back at the same moment, as after the restart of a load balancer."""

from __future__ import annotations

import asyncio
import json

import httpx
from websockets.asyncio.client import connect

from tests.api.people import Person, Server, bearer
from tests.builders import mongo_reads
from tests.docs.running import running
from tests.patience import FAR_OFF_S, PATIENCE_S

PEOPLE = 20
DEVICES_EACH = 3
MESSAGES = 12
CURSOR = 5
FAR_OFF = {"RINGPOST_OUTBOX_SCAN_S": str(FAR_OFF_S), "RINGPOST_OUTBOX_LEASE_S": str(FAR_OFF_S)}
"""The workers look at the outbox all the time, whoever connects."""


async def missed(device: Person) -> list[int]:
    """Inbox numbers that a device is sent which has everything up to CURSOR."""
    url = device.server.url.replace("http", "ws", 1) + "/v1/connect"
    got: list[int] = []
    async with (
        asyncio.timeout(PATIENCE_S),
        connect(url, additional_headers=bearer(device.token), proxy=None) as socket,
    ):
        await socket.send(json.dumps({"type": "hello", "cursor": CURSOR}))
        while len(got) < MESSAGES - CURSOR:
            got += [entry["seq"] for entry in json.loads(await socket.recv()).get("entries", ())]
    return got


async def test_devices_that_all_come_back_at_once_are_served_from_rings(engines, unique, tmp_path):
    """I8: not one read of MongoDB for all of them together."""
    with (
        running(engines, unique, tmp_path, **FAR_OFF) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        devices = [server.person(f"u{user}", f"d{n}") for n in range(DEVICES_EACH) for user in range(PEOPLE)]
        people = devices[:PEOPLE]
        group = people[0].group(*people[1:])
        for number in range(MESSAGES):
            people[0].send(group, str(number))
        for person in people:
            person.arrived(MESSAGES)
        before = mongo_reads(engines.mongo_url, unique)
        came = await asyncio.gather(*map(missed, devices))
        assert came == [list(range(CURSOR + 1, MESSAGES + 1))] * len(devices)
        more = mongo_reads(engines.mongo_url, unique) - before
        assert not more
