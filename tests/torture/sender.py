"""Sends as the plan has them, and repeats them as the contract tells clients to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.texts import token
from tests.torture.device import Device
from tests.torture.facts import Sending
from tests.torture.plan import Plan, Send
from tests.torture.town import NoAnswer, Town

AT_ONCE = 250
MOST_WAIT_S = 2.0
AGAIN_AFTER_S = (2.0, 12.0)


class Sender:
    """All of the traffic. A send has one client_message_id for all its tries."""

    def __init__(self, town: Town, plan: Plan, devices: Mapping[str, list[Device]]) -> None:
        self._town = town
        self._ledger = town.ledger
        self._sends = plan.sends
        self._devices = devices
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Every send at its time, later if too many wait, until the traffic is over.

        Returns when each is answered or given up.
        """
        async with asyncio.TaskGroup() as group:
            for number, send in enumerate(self._sends):
                if not await self._ledger.comes(send.at_s):
                    break
                await self._slots.acquire()
                task = group.create_task(self._send(number, send))
                task.add_done_callback(lambda _: self._slots.release())

    async def _send(self, number: int, send: Send) -> None:
        conversation = self._town.conversations[send.conversation]
        text = token(f"m{number}").ljust(send.text_bytes, "x")
        sending = self._ledger.begin(f"m{number}", conversation, send.sender, text)
        rng = random.Random(number)
        match send.how:
            case "impatient":
                with suppress(TimeoutError):
                    async with asyncio.timeout(send.patience_s):
                        await self._try(sending, send.via, send.api)
            case "twice":
                await asyncio.gather(
                    self._patiently(sending, send.via, send.api, rng),
                    self._patiently(sending, "http", send.api + 1, rng),
                )
            case _:
                await self._patiently(sending, send.via, send.api, rng)
        if send.how == "again" and sending.answers:
            self._slots.release()
            await asyncio.sleep(rng.uniform(*AGAIN_AFTER_S))
            await self._slots.acquire()
            await self._patiently(sending, "http", send.api + 1, rng)

    async def _patiently(self, sending: Sending, via: str, api: int, rng: random.Random) -> None:
        """Until an answer stands, at one API and the other in turn; marked `unanswered` till then."""
        sending.unanswered = True
        wait_s = 0.1
        while not await self._try(sending, via, api):
            await asyncio.sleep(rng.uniform(0.0, wait_s))
            wait_s = min(2 * wait_s, MOST_WAIT_S)
            api += 1
            via = "http" if rng.random() < 0.7 else "socket"
        sending.unanswered = False

    async def _try(self, sending: Sending, via: str, api: int) -> bool:
        """Whether the answer is a last one."""
        body = {
            "conversation_id": sending.conversation_id,
            "client_message_id": sending.name,
            "kind": "text",
            "body": {"text": sending.text},
        }
        try:
            message_id, error = await self._ask(sending, via, api, body)
        except NoAnswer as reason:
            self._ledger.errors[f"send: {reason}"] += 1
            return False
        if message_id:
            self._ledger.answered(sending, message_id)
            return True
        self._ledger.errors[f"send: {error.get('code')}"] += 1
        if not error.get("retriable", True):
            sending.refused, sending.refused_at = str(error["code"]), self._ledger.now
            return True
        return False

    async def _ask(
        self, sending: Sending, via: str, api: int, body: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        connected = [device for device in self._devices.get(sending.sender, ()) if device.connected]
        if via == "socket" and connected:
            return await connected[api % len(connected)].send(body)
        token = self._town.token(sending.sender)
        answer = await self._town.call("POST", api, "/v1/messages", token, body)
        return str(answer.body.get("message_id", "")), answer.body.get("error", {})
