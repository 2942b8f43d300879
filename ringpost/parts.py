"""Whether the parts of Ringpost are alive. Each is asked in a way that shows real work.

The API answers by itself. A consumer is a member of its group, and the group makes progress. A relay renews
its lease in MongoDB and takes its turn. A worker with a given address answers by itself too.

Each look returns a word on its result, or raises Ailing with what to do.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx

from domain.errors import RingpostError
from infra.kafka.groups import LOOK_AGAIN_S, GroupTool
from infra.mongo.outbox import OutboxStore
from ringpost.finding import Ailing
from ringpost.http import reason_of
from ringpost.name import command_name

ANSWER_S = 5.0
MOVES_S = 5.0
"""A consumer with records to do finishes one within it: it commits every second."""


async def api(url: str, outbox: OutboxStore) -> str:
    """The API's own answer. If there is none, the leases say whether an API runs elsewhere."""
    try:
        return await _health(url)
    except httpx.HTTPError as error:
        raise Ailing(f"No answer from {url}: {reason_of(error)}. {await _elsewhere(outbox)}") from None


async def _elsewhere(outbox: OutboxStore) -> str:
    try:
        alive = (await outbox.alive()).apis
    except RingpostError:
        return "Whether one runs elsewhere is known once MongoDB answers."
    if alive:
        return f"{alive} API process(es) hold a lease: give the address of one by --url or RINGPOST_URL."
    return f"Start it with `{command_name()} api`, or give its address by --url or RINGPOST_URL."


async def worker_at(url: str, within_s: float = ANSWER_S) -> str:
    """The worker's own answer."""
    try:
        return await _health(url, within_s)
    except httpx.HTTPError as error:
        advice = "Start the worker, or look up its address in its log."
        raise Ailing(f"No answer: {reason_of(error)}. {advice}") from None


async def consumer(name: str, topic: str, groups: GroupTool, within_s: float = MOVES_S) -> str:
    """Kafka's answer: the members of the group, and whether it finishes its records."""
    state = await groups.look(name, topic)
    records = "record" if state.behind == 1 else "records"
    to_do = f"{state.behind} {records} to do" if state.behind else "nothing to do"
    if not state.hosts:
        raise Ailing(
            f"No process is in the group {state.group}, {to_do}. Run `{command_name()} worker {name}`."
        )
    processes = ", ".join(f"{count} at {host}" for host, count in sorted(Counter(state.hosts).items()))
    if state.behind and not await groups.moves(name, topic, within_s):
        raise Ailing(
            f"{processes}; {to_do}, and none was finished within {within_s:g} s. "
            "Read the log of the worker; it ends itself when it is stuck, and is to be started again."
        )
    return f"{processes}; {to_do}"


async def relay(outbox: OutboxStore, within_s: float = MOVES_S) -> str:
    """MongoDB's answer: a dead process renews no lease, and a stuck one does not take its turn."""
    alive = await outbox.alive()
    to_do = "messages wait for it" if alive.waiting else "nothing to do"
    if not alive.relays:
        raise Ailing(f"No process holds a lease, {to_do}. Run `{command_name()} worker relay`.")
    deadline = time.monotonic() + within_s
    while not alive.turn and time.monotonic() < deadline:  # the one before may have ended just now
        await asyncio.sleep(LOOK_AGAIN_S)
        alive = await outbox.alive()
    if not alive.turn:
        raise Ailing(f"{alive.relays} running, {to_do}, and none takes its turn. Read its log.")
    return f"{alive.relays} running; {to_do}"


async def _health(url: str, within_s: float = ANSWER_S) -> str:
    """The answer of `/health/ready` if all is well, else Ailing. Raises httpx.HTTPError without an answer."""
    async with httpx.AsyncClient(timeout=within_s) as http:
        answer = await http.get(url.rstrip("/") + "/health/ready")
    try:
        body = answer.json()
        status, reasons = str(body["status"]), _reasons(body)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Ailing(
            f"{url} answers, but not as Ringpost does (status {answer.status_code}). Is the address right?"
        ) from None
    if answer.is_success and status == "ok":
        return f"ready at {url}"
    state = "works with less than it needs" if answer.is_success else "is not ready"
    why = "; ".join(reasons) or status
    raise Ailing(f"{url} {state}: {why}. Mend what is named; it recovers by itself.")


def _reasons(body: dict[str, Any]) -> list[str]:
    """Each part that is not well, with what it says; and what else is given as a reason."""
    reasons = [f"{name}: {said}" for name, said in body.get("parts", {}).items() if said != "ok"]
    reasons += map(str, body.get("reasons") or ())
    return list(dict.fromkeys(reason.rstrip(".") for reason in reasons))
