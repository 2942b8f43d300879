"""Reads at the end what the API answers to everybody: histories, pins, own state, and single messages."""

from __future__ import annotations

from typing import Any

from tests.replica import SETTINGS, shown
from tests.texts import tokens_in
from tests.torture.collect import asked
from tests.torture.facts import Facts, View
from tests.torture.town import NoAnswer, Town

PAGE = 100
ME = ("read_seq", "marked_unread", "unread", *SETTINGS)


async def read_views(town: Town, facts: Facts) -> None:
    """Of everybody: each conversation, from one API and the other."""
    for number, user in enumerate(sorted({user for user, _ in facts.devices})):
        reading = _Reading(town, facts, user, number)
        try:
            facts.views[user] = await reading.all()
        except NoAnswer as reason:
            facts.unsettled.append(f"{user} could not read: {reason}")
    await _read_recalled(town, facts)


class _Reading:
    """The reads of one user. It notes whose texts stand in the answers."""

    def __init__(self, town: Town, facts: Facts, user: str, api: int) -> None:
        self._town = town
        self._facts = facts
        self._user = user
        self._api = api

    async def all(self) -> dict[str, View]:
        views = {}
        cursor, more = "", True
        while more:
            page = await self._ask("the list", f"/v1/conversations?limit={PAGE}{cursor}")
            for row in page["conversations"]:
                views[row["conversation_id"]] = await self._one(row)
            cursor, more = f"&cursor={page['cursor']}", page["more"]
        return views

    async def _one(self, row: dict[str, Any]) -> View:
        path = f"/v1/conversations/{row['conversation_id']}"
        messages: dict[str, dict[str, Any]] = {}
        after, more = 0, True
        while more:
            page = await self._ask("the history", f"{path}/messages?after={after}&limit={PAGE}")
            messages |= {one["message_id"]: one for one in page["messages"]}
            after = page["messages"][-1]["seq"] if page["messages"] else after
            more = page["more"]
        pins = (await self._ask("the pins", f"{path}/pins"))["messages"]
        me = {name: row["me"][name] for name in ME}
        return View(me, {name: shown(one) for name, one in messages.items()}, [m["message_id"] for m in pins])

    async def _ask(self, what: str, path: str) -> dict[str, Any]:
        """Raises NoAnswer."""
        answer = await asked(self._town, self._api, path, self._user)
        if not answer.good:
            raise NoAnswer(f"{what}: {answer.code}")
        self._facts.seen.setdefault(f"{what} of {self._user}", set()).update(tokens_in(answer.raw))
        return answer.body


async def _read_recalled(town: Town, facts: Facts) -> None:
    """Single recalled messages and their versions, by one who may read them."""
    for number, (place, stored) in enumerate(facts.messages.items()):
        readers = facts.always_there(place[0]) - set(stored.hidden_for)
        if not stored.recalled or not readers:
            continue
        for path in (f"/v1/messages/{stored.message_id}", f"/v1/messages/{stored.message_id}/versions"):
            try:
                answer = await asked(town, number, path, min(readers))
            except NoAnswer as reason:
                facts.unsettled.append(f"{path} could not be read: {reason}")
            else:
                facts.seen[path] = tokens_in(answer.raw)
