"""What changed a message, as fields beside `m` of its document, and the writes that set them.

    e   the edit: {r: rev, b: body, at, n: mentions, l: the revs of all edits}
    x   the recall: {r: rev, by, at}
    a   the reactions: {v: counts every change, r: rev, k: [[key, [users]], …]}
    ad  when reactions changed, in milliseconds, until a record has told it
    p   the pin: {r: rev, on, by}
    n   the users whom the message mentions now, or `all`
    hid the users who have hidden it

Each write is harmless when it comes again, and right in whatever order writes come: a register takes a higher
revision only, and nothing changes a message that is recalled.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.ids import ConversationId, UserId
from domain.registers import Edit, Pin, Reactions, Reactors, Recall, Registers
from infra.mongo.terms import Document, Write

MOST_EDITS = 100

Target = tuple[ConversationId, int]


def id_of(target: Target) -> Document:
    return {"c": target[0], "q": target[1]}


def registers_of(document: Document) -> Registers:
    edit, recall, reactions, pin = (document.get(name) for name in "exap")
    return Registers(
        Edit(edit["r"], edit["b"], edit["at"], edit["n"], edit["l"]) if edit else None,
        Recall(recall["r"], recall["by"], recall["at"]) if recall else None,
        Reactions(reactions.get("r", 0), _reactors(reactions.get("k", ()))) if reactions else None,
        Pin(pin["r"], pin["on"], pin["by"]) if pin else None,
    )


def _reactors(stored: Sequence[Sequence[object]]) -> Reactors:
    return [(str(key), users) for key, users in stored]  # type: ignore[misc]


def edit_write(target: Target, rev: int, body: bytes, mentions: Sequence[str], at: str) -> Write:
    """Takes no effect beyond `MOST_EDITS`. An edit that is overtaken by a later one is among its versions."""
    newer = {"$gt": [rev, {"$ifNull": ["$e.r", 0]}]}
    kept = {"$ifNull": ["$e", {}]}
    now = {"r": rev, "b": {"$literal": body}, "at": at, "n": {"$literal": list(mentions)}}
    edit = {
        "$mergeObjects": [
            {"$cond": [newer, now, kept]},
            {"l": {"$concatArrays": [{"$ifNull": ["$e.l", []]}, [rev]]}},
        ]
    }
    named = {"$literal": list(mentions)} if mentions else "$$REMOVE"
    change: Document = {"e": edit, "n": {"$cond": [newer, named, {"$ifNull": ["$n", "$$REMOVE"]}]}}
    where = {
        "_id": id_of(target),
        "x": None,
        "e.l": {"$ne": rev},
        f"e.l.{MOST_EDITS - 1}": {"$exists": False},
    }
    return Write(where, [{"$set": change}])


def recall_write(target: Target, rev: int, by: UserId, at: str) -> Write:
    recall = {"$set": {"x": {"r": rev, "by": by, "at": at}}, "$unset": {"n": "", "ad": ""}}
    return Write({"_id": id_of(target), "x": None}, recall)


def pin_write(target: Target, rev: int, by: UserId, on: bool) -> Write:
    older = {"$or": [{"p": None}, {"p.r": {"$lt": rev}}]}
    return Write({"_id": id_of(target), "x": None, **older}, {"$set": {"p": {"r": rev, "on": on, "by": by}}})


def told_write(target: Target, rev: int) -> Write:
    """A record with this rev tells the reactions, as they are read after this write."""
    older = {"$or": [{"a.r": None}, {"a.r": {"$lt": rev}}]}
    return Write({"_id": id_of(target), **older}, {"$set": {"a.r": rev}, "$unset": {"ad": ""}})


def hidden_write(target: Target, by: UserId) -> Write:
    return Write({"_id": id_of(target)}, {"$addToSet": {"hid": by}})


def reacted(target: Target, version: int, by_key: Reactors, now_ms: int) -> tuple[Document, Document]:
    """What must hold, and the change, for reactions that were read at this version."""
    where = {"_id": id_of(target), "x": None, "a.v": version or None}
    change = {"a.v": version + 1, "a.k": [[key, list(users)] for key, users in by_key if users], "ad": now_ms}
    return where, {"$set": change}
