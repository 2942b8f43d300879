"""People who use all of it: in each conversation one thing after the other, in all conversations at once."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from tests.builders import until
from tests.patience import PATIENCE_S
from tests.replica import plain
from tests.system.model import MOST_REACTIONS, Spoken, Talk
from tests.texts import token

KEYS = ("👍", "🎉", ":ok:", ":wave:")
MUTED = ("2030-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z", None)
KINDS = {
    "send": 30,
    "batch": 3,
    "reply": 6,
    "forward": 5,
    "edit": 14,
    "recall": 7,
    "react": 14,
    "unreact": 4,
    "pin": 5,
    "unpin": 3,
    "hide": 4,
    "read": 10,
    "unread": 3,
    "settings": 8,
    "clear": 1,
}
"""What people do, and how often."""

NEWEST = 12
"""What is done is done to one of the newest messages."""


class Answered(NamedTuple):
    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """Empty for an answer with success."""
        return str(self.body["error"]["code"]) if "error" in self.body else ""


VANISHES_S = 10.0
"""Seconds within which an event that is under way is known to the model."""


class Life:
    """Each answer is compared with what the model says should be answered."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str], tokens: dict[str, str], seed: int) -> None:
        self.talks: list[Talk] = []
        self.differences: list[str] = []
        self.urls = urls
        self.kinds = KINDS
        self.done = 0
        self._client = client
        self._tokens = tokens
        self._seed = seed

    async def live(self, talks: list[Talk], events: int) -> None:
        """So many events, spread over these conversations; the first ones get more of them."""
        weights = [1 / (place + 1) for place in range(len(talks))]
        lanes = random.Random(f"{self._seed}/{self.done}").choices(range(len(talks)), weights, k=events)
        async with asyncio.TaskGroup() as group:
            for place, talk in enumerate(talks):
                group.create_task(self._lane(talk, lanes.count(place)))

    async def _lane(self, talk: Talk, events: int) -> None:
        rng = random.Random(f"{self._seed}/{talk.conversation_id}/{len(talk.messages)}")
        for _ in range(events):
            self.done += 1
            kind = rng.choices(tuple(self.kinds), tuple(self.kinds.values()))[0] if talk.messages else "send"
            user = rng.choice(talk.members)
            if kind in {"send", "reply", "forward", "batch"}:
                await self._say(kind, talk, user, rng)
            elif kind in {"read", "unread", "settings", "clear"}:
                await self._own(kind, talk, user, rng)
            else:
                spoken = rng.choice(list(talk.messages.values())[-NEWEST:])
                if kind in {"edit", "recall"} and rng.random() < 0.8:
                    user = spoken.sender
                if kind in {"pin", "unpin"} and talk.group and rng.random() < 0.8:
                    user = talk.members[0]
                await self._change(kind, talk, user, spoken, rng)

    # ------------------------------------------------------------ sends

    async def _say(self, kind: str, talk: Talk, user: str, rng: random.Random) -> None:
        name = self._name(talk)
        body: dict[str, Any] = {"conversation_id": talk.conversation_id, "client_message_id": name}
        text, expected = f"{token(name)} hello", ""
        mentions: list[str] = []
        if kind == "forward":
            found = self._still(user, rng)
            if found is None:
                return
            origin, source = found
            text = source.versions[-1]
            body |= {"forward_of": source.message_id}
        else:
            body |= {"kind": "text", "body": {"text": text}}
        if kind == "reply":
            target = rng.choice(list(talk.messages.values())[-NEWEST:])
            body |= {"reply_to": target.message_id}
            expected = "" if talk.sees(user, target) else "not_found"
        elif kind == "send" and rng.random() < 0.15:
            mentions = sorted(rng.sample(talk.members, rng.randint(1, min(3, len(talk.members)))))
            body |= {"mentions": mentions}
        if kind == "batch":
            await self._batch(talk, user, body)
            return
        answer = await self._ask(user, "POST", "/v1/messages", body)
        if kind == "forward" and answer.code == "not_found" and await _vanishes(origin, user, source):
            return
        if self._as_expected(f"{kind} of {name} by {user}", answer, expected) and not expected:
            spoken = self._spoken(talk, user, name, text, answer.body)
            spoken.mentions, spoken.forwarded = mentions, kind == "forward"

    async def _batch(self, talk: Talk, user: str, body: dict[str, Any]) -> None:
        names = [self._name(talk) for _ in range(3)]
        texts = [f"{token(one)} hello" for one in names]
        some = [
            body | {"client_message_id": one, "body": {"text": text}}
            for one, text in zip(names, texts, strict=True)
        ]

        async def all_taken() -> Any:
            answer = await self._ask(user, "POST", "/v1/messages:batch", {"messages": some})
            results = answer.body["results"]
            return None if any("error" in one for one in results) else results

        results = await until(all_taken, PATIENCE_S)
        for one, text, result in zip(names, texts, results, strict=True):
            self._spoken(talk, user, one, text, result)

    def _spoken(self, talk: Talk, user: str, name: str, text: str, answer: dict[str, Any]) -> Spoken:
        spoken = Spoken(answer["message_id"], answer["seq"], user, name, [text])
        talk.messages[spoken.message_id] = spoken
        return spoken

    def _name(self, talk: Talk) -> str:
        """A client_message_id that no other message has."""
        return f"m{self.talks.index(talk)}/{next(talk.numbers)}"

    def _still(self, user: str, rng: random.Random) -> tuple[Talk, Spoken] | None:
        """A message of any conversation that is never edited or recalled, and that the user can read."""
        talks = [talk for talk in self.talks if user in talk.members]
        seen = [(talk, one) for talk in talks for one in talk.visible(user) if is_still(one)]
        return rng.choice(seen) if seen else None

    # ------------------------------------------------------------ changes

    async def _change(self, kind: str, talk: Talk, user: str, spoken: Spoken, rng: random.Random) -> None:
        path, key = f"/v1/messages/{spoken.message_id}", rng.choice(KEYS)
        if kind in {"edit", "recall"} and is_still(spoken):
            return
        what = f"{kind} of {spoken.message_id} by {user}"
        expected = self._refusal(kind, talk, user, spoken, key)
        text = f"{token(spoken.name, len(spoken.versions))} edited"
        name = f"{spoken.name}.{self.done}"
        method, under, body = {
            "edit": ("PATCH", "", {"client_message_id": name, "body": {"text": text}}),
            "recall": ("DELETE", "", None),
            "hide": ("DELETE", "/mine", None),
            "react": ("PUT", f"/reactions/{quote(key)}", None),
            "unreact": ("DELETE", f"/reactions/{quote(key)}", None),
            "pin": ("PUT", "/pin", None),
            "unpin": ("DELETE", "/pin", None),
        }[kind]
        answer = await self._ask(user, method, path + under, body)
        if not self._as_expected(what, answer, expected) or expected:
            return
        match kind:
            case "edit":
                spoken.versions.append(text)
                self._same(what, answer.body["body"], {"text": text})
            case "recall":
                spoken.recalled = True
                self._same(what, answer.body["body"], {})
            case "hide":
                talk.parts[user].hidden.add(spoken.message_id)
            case "pin" | "unpin":
                talk.pin(spoken, on=kind == "pin")
            case _:
                spoken.react(user, key, on=kind == "react")
                self._same(what, plain(answer.body["reactions"]), spoken.given)

    def _refusal(self, kind: str, talk: Talk, user: str, spoken: Spoken, key: str) -> str:
        """The code with which it is refused. Empty if it is done."""
        if kind == "hide" and spoken.message_id in talk.parts[user].hidden:
            return ""
        if not talk.sees(user, spoken):
            return "not_found"
        if kind == "edit" and user != spoken.sender:
            return "forbidden"
        if kind == "recall":
            may = user == spoken.sender or (talk.group and user == talk.members[0])
            return "" if may else "forbidden"
        if kind in {"pin", "unpin"} and talk.group and user != talk.members[0]:
            return "forbidden"
        if kind != "hide" and spoken.recalled:
            return "conflict"
        if kind == "edit" and spoken.forwarded:
            return "forbidden"
        mine = [one for one, users in spoken.reactions.items() if user in users]
        if kind == "react" and key not in mine and len(mine) >= MOST_REACTIONS:
            return "conflict"
        return ""

    # ------------------------------------------------------------ own state

    async def _own(self, kind: str, talk: Talk, user: str, rng: random.Random) -> None:
        path = f"/v1/conversations/{talk.conversation_id}"
        part = talk.parts[user]
        seq = rng.choice(list(talk.messages.values())[-NEWEST:]).seq
        if kind == "read":
            answer = await self._ask(user, "PUT", f"{path}/read", {"seq": seq})
            part.read_seq, part.marked_unread = max(part.read_seq, seq), False
        elif kind == "unread":
            answer = await self._ask(user, "PUT", f"{path}/unread", {})
            part.marked_unread = True
        else:
            fields = {"cleared_seq": seq} if kind == "clear" else _settings(rng)
            answer = await self._ask(user, "PATCH", f"{path}/me", fields)
            cleared = max(part.settings["cleared_seq"], fields.get("cleared_seq", 0))
            part.settings |= fields | {"cleared_seq": cleared}
        what = f"{kind} of {talk.conversation_id} by {user}"
        if self._as_expected(what, answer, ""):
            now = talk.me(user)
            self._same(what, answer.body, now | {"mentions": talk.mentions(user)} | _role(answer))

    # ------------------------------------------------------------ answers

    def _as_expected(self, what: str, answer: Answered, expected: str) -> bool:
        if answer.code != expected:
            self.differences.append(
                f"{what} was answered {answer.code or 'with success'}, not {expected or 'so'}"
            )
        return answer.code == expected

    def _same(self, what: str, answered: dict[str, Any], model: dict[str, Any]) -> None:
        expected = {name: model.get(name) for name in answered}
        if answered != expected or (not answered and model):
            self.differences.append(f"{what} answered {answered}, and the model says {expected}")

    async def _ask(self, user: str, method: str, path: str, body: Any = None) -> Answered:
        """The last answer, at one API after the other: what may be asked again is."""
        urls = itertools.cycle(self.urls if self.done % 2 else self.urls[::-1])
        headers = {"Authorization": f"Bearer {self._tokens[user]}"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"

        async def tried() -> Answered | None:
            try:
                answer = await self._client.request(
                    method, next(urls) + path, content=content, headers=headers
                )
            except httpx.TransportError:
                return None
            answered = Answered(answer.status_code, answer.json())
            return None if answered.code and answered.body["error"]["retriable"] else answered

        found: Answered = await until(tried, PATIENCE_S, 0.05)
        return found


async def _vanishes(talk: Talk, user: str, spoken: Spoken) -> bool:
    """Whether the user hides or clears the message at this moment, in the conversation where it stands."""
    with suppress(AssertionError):
        return bool(await until(lambda: not talk.sees(user, spoken), VANISHES_S))
    return False


def is_still(spoken: Spoken) -> bool:
    """Whether it is never edited or recalled, so that it may be forwarded: its text stands elsewhere, too."""
    return spoken.seq % 4 == 0


def _role(answer: Answered) -> dict[str, Any]:
    return {"role": answer.body.get("role")}


def _settings(rng: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pinned": rng.random() < 0.5,
        "archived": rng.random() < 0.5,
        "muted_until": rng.choice(MUTED),
        "draft": rng.choice(("later", f"draft {rng.randrange(1000)}", None)),
    }
    return {name: fields[name] for name in rng.sample(sorted(fields), rng.randint(1, 3))}
