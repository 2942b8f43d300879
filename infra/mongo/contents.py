"""What entries carry, as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.changes import kept_of
from domain.entries import RECORD_TYPES, typed
from domain.ids import message_id
from domain.registers import Registers, pin_now, reactions_now, shown
from infra.mongo.messages import CARRIED, MessageStore
from infra.mongo.registers import registers_of
from infra.mongo.rows import Place
from infra.mongo.terms import Document


class Content(NamedTuple):
    """`target` is the seq of the message that is changed. `replaces` are the seqs of all entries that carry
    the content of the message, if this carries it, too: from now on they carry the new one.
    """

    carried: bytes
    target: int = 0
    replaces: tuple[int, ...] = ()


class Contents:
    """Reads documents of messages and changes. Two reads at the most, however many. Raises Unavailable."""

    def __init__(self, messages: MessageStore) -> None:
        self._messages = messages

    async def of(self, places: Iterable[Place]) -> dict[Place, Content]:
        """What the entry of each place carries. A place at which nothing is stored is absent."""
        return await self.read(await self._messages.documents(places, CARRIED))

    async def read(self, found: Mapping[Place, Document]) -> dict[Place, Content]:
        """The same, of documents that were read already. It reads the messages that they change."""
        targets = {
            (place[0], document["g"])
            for place, document in found.items()
            if document.get("t") in RECORD_TYPES
        }
        changed = await self._messages.documents(targets, CARRIED)
        contents = {}
        for place, document in found.items():
            if document.get("t") in RECORD_TYPES:
                target = changed.get((place[0], document["g"]))
                if target is not None:  # never seen: who changes a message has read it
                    contents[place] = _of_record(place, document, target)
            elif document.get("t") is None:
                registers = registers_of(document)
                contents[place] = Content(shown(document["m"], registers), 0, _carriers(place[1], registers))
            else:
                own = document.get("v") or bytes(kept_of(document["m"]).value)
                contents[place] = Content(typed(document["t"], own))
        return contents


def _of_record(place: Place, record: Document, target: Document) -> Content:
    conversation, rev = place
    seq, registers = record["g"], registers_of(target)
    name = message_id(conversation, seq)
    match record["t"]:
        case "reactions":
            return Content(typed("reactions", reactions_now(name, registers, rev)), seq)
        case "pin":
            return Content(typed("pin", pin_now(name, registers, rev, record["f"])), seq)
    return Content(typed(record["t"], shown(target["m"], registers)), seq, _carriers(seq, registers))


def _carriers(seq: int, registers: Registers) -> tuple[int, ...]:
    return (seq, *(registers.edit.revs if registers.edit else ()))
