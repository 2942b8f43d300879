"""Compares two databases, for example a restored one with its origin: `ringpost doctor --deep --against …`.

Messages and lines of inboxes never change once they are written. So a backup is a part of the database
that it was taken from: what both have is the same, and the backup has nothing that the other lacks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from domain.ids import message_id
from infra.addresses import mongo_url
from infra.environment import secret_in
from infra.mongo.audit import Audit
from infra.mongo.client import open_database
from infra.settings import MongoSettings, SettingsError
from ringpost.deep import Say, diagnose
from ringpost.diagnosis import KEPT, Diagnosis, Problem
from ringpost.output import progress, show

EVERY = 1000
PATIENCE_S = 60.0
"""Seconds that one read may take, at least."""


class Item(NamedTuple):
    """A message or a line: its conversation or user, its number there, and a digest of what it holds."""

    of: str
    number: int
    digest: bytes

    @property
    def place(self) -> tuple[bytes, int]:
        """Sorts as MongoDB sorts the ids."""
        return self.of.encode(), self.number


@dataclass
class Tally:
    """How many messages or entries are the same in both, different, or only in one of the two."""

    same: int = 0
    different: int = 0
    only_here: int = 0
    only_there: int = 0

    @property
    def ok(self) -> bool:
        return not self.different and not self.only_here


@dataclass
class Comparison:
    """This database, beside the other. `conversations` and `inboxes` count them by how they compare."""

    messages: Tally = field(default_factory=Tally)
    entries: Tally = field(default_factory=Tally)
    conversations: Counter[str] = field(default_factory=Counter)
    inboxes: Counter[str] = field(default_factory=Counter)
    counts_here: dict[str, int] = field(default_factory=dict)
    counts_there: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.messages.ok and self.entries.ok

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **msgspec.to_builtins(self)}

    def __str__(self) -> str:
        lines = [problem.said for problem in self.problems]
        for name, tally in (("messages", self.messages), ("entries", self.entries)):
            lines.append(
                f"{name}: {tally.same} the same, {tally.different} different, "
                f"{tally.only_here} only here, {tally.only_there} only in the other database"
            )
        for name, counter in (("conversations", self.conversations), ("inboxes", self.inboxes)):
            lines.append(f"{name}: " + (", ".join(f"{n} {how}" for how, n in counter.items()) or "none"))
        if not self.ok:
            lines.append("This database is not a part of the other one.")
        elif self.messages.only_there or self.entries.only_there:
            lines.append("This database is a part of the other one, which has more.")
        else:
            lines.append("Both hold the same.")
        return "\n".join(lines)


def check_deep(settings: MongoSettings, against: str | None, as_json: bool) -> bool:
    """The command. Shows the findings. Returns whether all is well. Raises SettingsError, Unavailable."""
    with progress("Reading the database") as say:
        diagnosis, comparison = asyncio.run(examine_deep(settings, against, say))
    ok = diagnosis.ok and (comparison is None or comparison.ok)
    value = {"ok": ok, "diagnosis": diagnosis.as_json(), "comparison": comparison and comparison.as_json()}
    show(value, as_json, "\n".join(str(one) for one in (diagnosis, comparison) if one is not None))
    return ok


async def examine_deep(
    settings: MongoSettings, against: str | None, say: Say
) -> tuple[Diagnosis, Comparison | None]:
    """Check the database of the settings, and compare it with that of `against`: a URL, or a file with one.

    A database that the URL names is taken in place of the one of the same name. SettingsError, Unavailable.
    """
    if not settings.url:
        raise SettingsError("Set RINGPOST_MONGO_URL to the database that is to be checked.")
    patient = settings.model_copy(update={"timeout_s": max(settings.timeout_s, PATIENCE_S)})
    async with open_database(patient) as database:
        here = Audit(database)
        diagnosis = await diagnose(here, say)
        if against is None:
            return diagnosis, None
        url = _address(against)
        other = {"url": url, "database": urlsplit(url).path.lstrip("/") or settings.database}
        async with open_database(patient.model_copy(update=other)) as database_there:
            return diagnosis, await compare(here, Audit(database_there), say)


def _address(against: str) -> str:
    try:
        return mongo_url(against if "://" in against else secret_in(against, "--against"))
    except ValueError as error:
        raise SettingsError(f"--against: {error}.") from None


async def compare(here: Audit, there: Audit, say: Say) -> Comparison:
    """Read both side by side, page by page. Raises Unavailable."""
    found = Comparison(counts_here=await here.counts(), counts_there=await there.counts())
    await _Side("message", found.messages, found.conversations, found.problems).compare(
        _messages(here), _messages(there), lambda n: say(f"Compared {n} messages")
    )
    await _Side("entry", found.entries, found.inboxes, found.problems).compare(
        _lines(here), _lines(there), lambda n: say(f"Compared {n} entries")
    )
    return found


async def _messages(audit: Audit) -> AsyncIterator[Item]:
    async for page in audit.messages():
        for one in page:
            whole = b"\0".join((one.sender_id.encode(), one.key, one.content_hash, one.message))
            yield Item(one.conversation_id, one.seq, blake2b(whole, digest_size=16).digest())


async def _lines(audit: Audit) -> AsyncIterator[Item]:
    async for page in audit.lines():
        for one in page:
            yield Item(one.user_id, one.inbox_seq, message_id(one.conversation_id, one.seq).encode())


class _Side:
    """Two sorted streams of one kind, merged into a tally."""

    def __init__(self, kind: str, tally: Tally, groups: Counter[str], problems: list[Problem]) -> None:
        self._kind = kind
        self._tally = tally
        self._groups = groups
        self._problems = problems
        self._of = ""
        self._seen: set[str] = set()

    async def compare(
        self, here: AsyncIterator[Item], there: AsyncIterator[Item], say: Callable[[int], None]
    ) -> None:
        read = 0
        async for one, other in merged(here, there):
            self._count(one, other)
            read += 1
            if read % EVERY == 0:
                say(read)
        self._end_group()

    def _count(self, one: Item | None, other: Item | None) -> None:
        item = one or other
        assert item is not None, "one of the two is there"
        if item.of != self._of:
            self._end_group()
            self._of = item.of
        if one is None:
            self._tally.only_there += 1
            self._seen.add("shorter here")
        elif other is None:
            self._tally.only_here += 1
            self._tell(one, "is only here", "longer here")
        elif one.digest != other.digest:
            self._tally.different += 1
            self._tell(one, "differs", "different")
        else:
            self._tally.same += 1
            self._seen.add("the same")

    def _end_group(self) -> None:
        """The worst difference says how the conversation or inbox compares."""
        for how in ("different", "longer here", "shorter here", "the same"):
            if how in self._seen:
                self._groups[how] += 1
                break
        self._seen = set()

    def _tell(self, item: Item, said: str, how: str) -> None:
        self._seen.add(how)
        if self._tally.different + self._tally.only_here > KEPT:
            return
        if self._kind == "message":
            said = f"The message {item.of}:{item.number} {said}."
            self._problems.append(Problem("against", said, None, item.of, item.number))
        else:
            said = f"The entry {item.number} of {item.of} {said}."
            self._problems.append(Problem("against", said, item.of, None, item.number))


async def merged(
    here: AsyncIterator[Item], there: AsyncIterator[Item]
) -> AsyncIterator[tuple[Item | None, Item | None]]:
    """Two sorted streams as pairs with the same place; None where one of them has nothing there."""
    one, other = await anext(here, None), await anext(there, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.place < other.place):
            yield one, None
            one = await anext(here, None)
        elif one is None or other.place < one.place:
            yield None, other
            other = await anext(there, None)
        else:
            yield one, other
            one, other = await anext(here, None), await anext(there, None)
