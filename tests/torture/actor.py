"""What people do beside sending: edit, recall, react, pin, answer, forward, hide, read, and settings."""

from __future__ import annotations

import asyncio
import random
import zlib
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.texts import token
from tests.torture.facts import Acting, Sending
from tests.torture.plan import Act, Plan
from tests.torture.town import Answer, NoAnswer, Town

AT_ONCE = 60
MOST_WAIT_S = 2.0
NEWEST, HOT = 60, 3
"""What is done is done to one of the newest messages, and often to the newest: so changes of one meet."""

KEYS = ("👍", "🎉", ":ok:", ":wave:")
MUTED = ("2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z", None)
AS_EXPECTED = frozenset({"conflict", "not_found"})
"""The message was recalled, a limit was reached, or the user has hidden or cleared it."""


OF_STAYS = frozenset({"forbidden", "bad_request"})


class Asked(NamedTuple):
    method: str
    path: str
    body: Any = None
    note: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """What the checks have to know of it."""


def fate(name: str) -> str:
    """What may become of a message. What is forwarded is never changed: its text stands elsewhere, too."""
    return ("forward", "edit", "recall", "recall")[zlib.crc32(name.encode()) % 4]


class Actor:
    """All of it. People have several devices: some do two things of a kind at once."""

    def __init__(self, town: Town, plan: Plan) -> None:
        self._town = town
        self._ledger = town.ledger
        self._plan = plan
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Everything at its time until the traffic is over; returns when each was answered."""
        async with asyncio.TaskGroup() as group:
            for number, act in enumerate(self._plan.acts):
                if not await self._ledger.comes(act.at_s):
                    break
                await self._slots.acquire()
                task = group.create_task(self._act(number, act))
                task.add_done_callback(lambda _: self._slots.release())

    async def _act(self, number: int, act: Act) -> None:
        rng = random.Random(act.lot)
        target = self._target(act, rng)
        if target is None:
            return
        if act.kind in {"reply", "forward"}:
            await self._send(number, act, target, rng)
            return
        asked = self._asked(number, act, target, rng)
        name = "" if act.kind in {"unread", "settings"} else target.answers[0][1]
        acting = Acting(act.kind, act.user, target.conversation_id, name, asked.note, self._ledger.now)
        self._ledger.acts.append(acting)
        acting.unanswered = True
        answer = await self._patiently(act, asked, rng)
        acting.unanswered = False
        self._take(act, acting, answer)

    def _target(self, act: Act, rng: random.Random) -> Sending | None:
        """An acknowledged message of the conversation that this may be done to."""
        known = self._ledger.acknowledged[self._town.conversations[act.conversation]][-NEWEST:]
        owner = self._plan.conversations[act.conversation].members[0]
        if act.kind == "edit":
            mine = [one for one in known if one.sender == act.user and one.name[0] != "f"]
            known = [one for one in mine if fate(one.name) != "forward"]
        elif act.kind == "recall":
            known = [one for one in known if act.user in (one.sender, owner) and fate(one.name) == "recall"]
            if self._plan.conversations[act.conversation].kind == "direct":
                known = [one for one in known if one.sender == act.user]
        elif act.kind == "forward":
            known = [one for one in known if fate(one.name) == "forward" and one.name[0] == "m"]
        return rng.choice(known[-HOT:] if rng.random() < 0.5 else known) if known else None

    def _asked(self, number: int, act: Act, target: Sending, rng: random.Random) -> Asked:
        message = f"/v1/messages/{target.answers[0][1]}"
        conversation = f"/v1/conversations/{target.conversation_id}"
        match act.kind:
            case "edit":
                text = f"{token(target.name, number + 1)} edited"
                body = {"client_message_id": f"e{number}", "body": {"text": text}}
                return Asked("PATCH", message, body)
            case "recall":
                return Asked("DELETE", message)
            case "hide":
                return Asked("DELETE", f"{message}/mine")
            case "react" | "unreact":
                key = rng.choice(KEYS)
                method = "PUT" if act.kind == "react" else "DELETE"
                return Asked(method, f"{message}/reactions/{quote(key)}", None, {"key": key})
            case "pin" | "unpin":
                return Asked("PUT" if act.kind == "pin" else "DELETE", f"{message}/pin")
            case "read":
                seq = int(target.answers[0][1].rpartition(":")[2])
                return Asked("PUT", f"{conversation}/read", {"seq": seq}, {"seq": seq})
            case "unread":
                return Asked("PUT", f"{conversation}/unread", {})
            case "settings":
                return Asked("PATCH", f"{conversation}/me", _settings(target, rng))
        raise ValueError(f"nobody knows how to do {act.kind}")

    async def _send(self, number: int, act: Act, target: Sending, rng: random.Random) -> None:
        """A reply or a forward, which is a send as others are."""
        name = f"{act.kind[0]}{number}"
        text = target.text if act.kind == "forward" else f"{token(name)} yes"
        sending = self._ledger.begin(name, self._town.conversations[act.conversation], act.user, text)
        body: dict[str, Any] = {"conversation_id": sending.conversation_id, "client_message_id": name}
        if act.kind == "reply":
            body |= {"kind": "text", "body": {"text": text}, "reply_to": target.answers[0][1]}
        else:
            body |= {"forward_of": target.answers[0][1]}
        sending.unanswered = True
        answer = await self._patiently(act, Asked("POST", "/v1/messages", body), rng)
        sending.unanswered = False
        if answer.good:
            self._ledger.answered(sending, str(answer.body["message_id"]))
        else:
            self._refuse(act, answer.code)
            if answer.code not in AS_EXPECTED:
                sending.refused, sending.refused_at = answer.code, self._ledger.now

    async def _patiently(self, act: Act, asked: Asked, rng: random.Random) -> Answer:
        """The last answer: from one API and the other in turn, until one is not to be asked again."""
        api, wait_s = act.api, 0.1
        while True:
            try:
                token = self._town.token(act.user)
                answer = await self._town.call(asked.method, api, asked.path, token, asked.body)
            except NoAnswer as reason:
                self._ledger.errors[f"{act.kind}: {reason}"] += 1
            else:
                if answer.good or not answer.retriable:
                    return answer
                self._ledger.errors[f"{act.kind}: {answer.code}"] += 1
            await asyncio.sleep(rng.uniform(0.0, wait_s))
            wait_s = min(2 * wait_s, MOST_WAIT_S)
            api += 1

    def _take(self, act: Act, acting: Acting, answer: Answer) -> None:
        acting.done, acting.answer = answer.good, answer.body
        if not answer.good:
            acting.refused = answer.code
            self._refuse(act, answer.code)

    def _refuse(self, act: Act, code: str) -> None:
        """One who comes and goes may be forbidden something, or read up to what their stays do not hold. For
        others, and with other codes, something is wrong.
        """
        self._ledger.errors[f"{act.kind}: {code}"] += 1
        comes_and_goes = act.user in self._plan.conversations[act.conversation].strangers
        if code not in AS_EXPECTED and not (comes_and_goes and code in OF_STAYS):
            self._ledger.complain(f"{act.kind} of {act.user} was refused: {code}")


def _settings(target: Sending, rng: random.Random) -> dict[str, Any]:
    """Some fields at once; rarely all messages up to one are cleared."""
    seq = int(target.answers[0][1].rpartition(":")[2])
    fields: dict[str, Any] = {
        "pinned": rng.random() < 0.5,
        "archived": rng.random() < 0.5,
        "muted_until": rng.choice(MUTED),
        "draft": rng.choice(("later", f"draft {rng.randrange(1000)}", None)),
    }
    chosen = rng.sample(sorted(fields), rng.randint(1, 3))
    body = {name: fields[name] for name in chosen}
    return body | {"cleared_seq": seq} if rng.random() < 0.05 else body
