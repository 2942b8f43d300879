"""Conversations and their members.

A change of members gets a number in three steps. `begin` writes it as pending. Then the version of the list
is raised, and the conversation's counter gets the version and answers from which seq on the change holds.
`finish` writes that seq. A list with a pending change is not used: a process that meets one finishes it. If
several do so at once, the first seq that is written stands. So every process computes the same recipients of
a message, at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.conversations import NOTHING, Conversation, Member, Members, Own, Window
from domain.ids import MAX_SEQ, ConversationId, UserId
from infra.mongo.client import Database
from infra.mongo.terms import Document, Duplicate, Write

PENDING = -1
_LAST_USER = "\x7f"


class PendingChange(Exception):
    """A change of the members has no seq yet. `finish` it, then ask again."""


def member_of(document: Document) -> Member:
    """The member as written. A pending join has no effect yet, and a pending leave has not ended the stay
    yet.
    """
    windows = tuple(
        Window(MAX_SEQ if low == PENDING else low, MAX_SEQ + 1 if high in (None, PENDING) else high)
        for low, high in document["w"]
    )
    return Member(document["_id"]["u"], document["r"], windows, _own(document))


def _own(document: Document) -> Own:
    """The read mark, and `own`: each field with the rev that set it, as `{v: value, r: rev}`. `sv` counts
    the writes of both.
    """
    fields, read = document.get("own"), document["read"]
    if not read and not fields:
        return NOTHING
    values = {name: field["v"] for name, field in (fields or {}).items() if name in Own.__struct_fields__}
    version, read_at_ms = document.get("sv", 0), document.get("rat", 0)
    return Own(version=version, read_seq=read, read_at_ms=read_at_ms, **values)


def _owner_by_role(by_user: Mapping[UserId, Member]) -> UserId | None:
    """The owner of a group that was made before the conversation held its owner."""
    owners = [member for member in by_user.values() if member.role == "owner" and member.present]
    return min(owners, key=lambda m: (m.windows[-1].joined, m.user_id)).user_id if owners else None


def _conversation(document: Document) -> Conversation:
    owner = document.get("owner")
    return Conversation(document["_id"], document["kind"], document["title"], document["at"], owner)


def all_members(conversation: ConversationId) -> Document:
    low, high = {"c": conversation, "u": ""}, {"c": conversation, "u": _LAST_USER}
    return {"_id": {"$gte": low, "$lte": high}}


def _row(conversation: ConversationId, user: UserId, joined: int) -> Document:
    return {"_id": {"c": conversation, "u": user}, "r": "member", "w": [[joined, None]], "read": 0}


def read_write(conversation: ConversationId, user: UserId, seq: int, at_ms: int) -> Write:
    """Move a read mark forward. A mark that is farther already stays, with its time."""
    behind = {"_id": {"c": conversation, "u": user}, "read": {"$lt": seq}}
    return Write(behind, {"$set": {"read": seq, "rat": at_ms}, "$inc": {"sv": 1}})


def own_writes(
    conversation: ConversationId, user: UserId, rev: int, fields: Mapping[str, Any]
) -> list[Write]:
    """Set fields of `own`. A field takes a higher rev only, and `cleared_seq` a higher value only."""
    writes = []
    for name, value in fields.items():
        higher = {"v": {"$lt": value}} if name == "cleared_seq" else {"r": {"$lt": rev}}
        ((part, condition),) = higher.items()
        either = {"$or": [{f"own.{name}": None}, {f"own.{name}.{part}": condition}]}
        where = {"_id": {"c": conversation, "u": user}, **either}
        writes.append(Write(where, {"$set": {f"own.{name}": {"v": value, "r": rev}}, "$inc": {"sv": 1}}))
    return writes


class ConversationStore:
    """Durable when a verb returns. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._conversations = database.collection("conversations")
        self._members = database.collection("members")

    async def create(self, conversation: Conversation, users: Iterable[UserId]) -> bool:
        """Put in a conversation with its first members. False if it exists.

        Members are written first, so that a conversation that can be seen has them.
        """
        rows = [_row(conversation.conversation_id, user, 1) for user in users]
        await self._members.insert_many(rows, ordered=False)
        document: dict[str, Any] = {
            "_id": conversation.conversation_id,
            "kind": conversation.kind,
            "title": conversation.title,
            "at": conversation.created_at_ms,
            "ver": 0,
            "floor": 0,
            "owner": conversation.owner,
        }
        try:
            await self._conversations.insert(document)
        except Duplicate:
            return False
        return True

    async def get(self, conversation: ConversationId) -> Conversation | None:
        found = await self._conversations.find_one({"_id": conversation})
        return _conversation(found) if found else None

    async def get_many(self, conversations: Iterable[ConversationId]) -> dict[ConversationId, Conversation]:
        found = await self._conversations.find_any_order({"_id": {"$in": list(conversations)}})
        return {document["_id"]: _conversation(document) for document in found}

    async def existing(self, conversations: Iterable[ConversationId]) -> set[ConversationId]:
        """Those that exist, in one query."""
        found = await self._conversations.find_any_order({"_id": {"$in": list(conversations)}}, ["_id"])
        return {document["_id"] for document in found}

    async def set_title(self, conversation: ConversationId, title: str | None) -> None:
        await self._conversations.update({"_id": conversation}, {"$set": {"title": title}})

    async def version_and_floor(self, conversation: ConversationId) -> tuple[int, int]:
        """The version of the member list, and the highest seq that a change of members refers to."""
        found = await self._conversations.find_one({"_id": conversation}, ["ver", "floor"])
        return (found["ver"], found["floor"]) if found else (0, 0)

    async def versions_and_floors(
        self, conversations: Iterable[ConversationId]
    ) -> dict[ConversationId, tuple[int, int]]:
        """The same of many, in one read. Unknown conversations are absent."""
        found = await self._conversations.find_any_order(
            {"_id": {"$in": list(conversations)}}, ["ver", "floor"]
        )
        return {row["_id"]: (row["ver"], row["floor"]) for row in found}

    async def versions(self, conversations: Iterable[ConversationId]) -> dict[ConversationId, int]:
        """The versions of these member lists."""
        found = await self._conversations.find_any_order({"_id": {"$in": list(conversations)}}, ["ver"])
        return {row["_id"]: row["ver"] for row in found}

    async def members(self, conversation: ConversationId) -> Members | None:
        """The member list, at least as new as any version handed out before the call.

        None when there is no such conversation. Raises PendingChange.
        """
        found = await self._conversations.find_one({"_id": conversation}, ["ver", "owner"])
        if found is None:
            return None
        rows = await self._members.find_any_order(all_members(conversation))
        if any(PENDING in window for row in rows for window in row["w"]):
            raise PendingChange(conversation)
        by_user = {row["_id"]["u"]: member_of(row) for row in rows}
        return Members(conversation, found["ver"], by_user, found.get("owner") or _owner_by_role(by_user))

    async def begin(self, conversation: ConversationId, user: UserId, *, join: bool) -> bool:
        """Write a pending join or leave. True: a pending change of this user waits for `finish`.

        False: there is nothing to do, because they are in (or out) already.
        """
        place = {"_id": {"c": conversation, "u": user}}
        while True:
            row = await self._members.find_one(place)
            stays = row["w"] if row else []
            if any(PENDING in stay for stay in stays):
                return True
            if join == bool(stays and stays[-1][1] is None):
                return False
            if row is None:
                try:
                    await self._members.insert(_row(conversation, user, PENDING))
                except Duplicate:
                    continue
                return True
            changed = [*stays, [PENDING, None]] if join else [*stays[:-1], [stays[-1][0], PENDING]]
            if await self._members.update({**place, "w": stays}, {"$set": {"w": changed}}):
                return True

    async def raise_version(self, conversation: ConversationId) -> int:
        """Count a change of the member list. Returns the new version."""
        found = await self._conversations.find_and_update({"_id": conversation}, {"$inc": {"ver": 1}})
        return int(found["ver"]) if found else 0

    async def pending(self, conversation: ConversationId) -> list[Document]:
        """The changes that wait for their seq, to be handed to `finish`."""
        rows = await self._members.find_any_order(all_members(conversation))
        return [row for row in rows if any(PENDING in stay for stay in row["w"])]

    async def finish(self, conversation: ConversationId, pending: Iterable[Document], from_seq: int) -> None:
        """Write the seq from which these changes hold. Changes that got a seq meanwhile keep it.

        The seq must be newer than the changes. So read the changes first, and then take the seq.
        """
        await self._conversations.update({"_id": conversation}, {"$max": {"floor": from_seq - 1}})
        for row in pending:
            stays = row["w"]
            numbered = [[from_seq if place == PENDING else place for place in stay] for stay in stays]
            await self._members.update({"_id": row["_id"], "w": stays}, {"$set": {"w": numbered}})

    async def take_over(self, members: Members, heir: UserId) -> bool:
        """Make the heir the owner. False if the members or the owner changed since the list was read."""
        unchanged = {"_id": members.conversation_id, "ver": members.version}
        stored = {"$or": [{"owner": members.owner}, {"owner": None}]}
        return await self._conversations.update({**unchanged, **stored}, {"$set": {"owner": heir}}) > 0

    async def parts(
        self, places: Iterable[tuple[ConversationId, UserId]]
    ) -> dict[tuple[ConversationId, UserId], Member]:
        """These members, in one read. Who was never a member is absent."""
        ids = [{"c": conversation, "u": user} for conversation, user in places]
        found = await self._members.find_any_order({"_id": {"$in": ids}}) if ids else []
        return {(row["_id"]["c"], row["_id"]["u"]): member_of(row) for row in found}

    async def set_own(self, writes: Sequence[Write]) -> None:
        """Change own state of members: `read_write`, `own_writes`."""
        await self._members.change_each(writes)
