"""The part of `ringpost doctor --deep` that checks who is in which conversation."""

from __future__ import annotations

from collections.abc import Sequence

from domain.ids import ConversationId, UserId, direct_pair, owner_of
from infra.mongo.audit import Audit
from infra.mongo.conversations import PENDING
from infra.mongo.terms import Document
from ringpost.diagnosis import Diagnosis, Problem


def pair_of(conversation: ConversationId) -> frozenset[UserId]:
    """The people of a direct conversation, or the owner of a space, from the id. Empty for a group."""
    try:
        return frozenset(direct_pair(conversation) or filter(None, [owner_of(conversation)]))
    except ValueError:
        return frozenset()


class MemberLists:
    """The members of all conversations, and who they are.

    An owner who has left is no problem: the next look at the group makes another member the owner.
    """

    def __init__(self, audit: Audit, found: Diagnosis) -> None:
        self._audit = audit
        self._found = found

    async def check(self) -> None:
        async for page in self._audit.conversations(self._found.misfit):
            lists = await self._audit.lists([one["_id"] for one in page])
            for one in page:
                self._conversation(one, lists[one["_id"]])
        async for page in self._audit.stays(self._found.misfit):
            unknown = await self._audit.unknown({row["_id"]["u"] for row in page})
            for row in page:
                self._member(row, unknown)

    def _conversation(self, one: Document, rows: Sequence[Document]) -> None:
        conversation, pair = one["_id"], pair_of(one["_id"])
        if (one["kind"] == "direct") != bool(pair):
            said = f"The conversation {conversation} is of the kind {one['kind']}, which its id is not."
            self._found.add(Problem("conversation", said, None, conversation))
        elif pair:
            self._direct(conversation, pair, rows)
        else:
            self._group(one, rows)

    def _direct(
        self, conversation: ConversationId, pair: frozenset[UserId], rows: Sequence[Document]
    ) -> None:
        present = {row["_id"]["u"] for row in rows}
        for user in sorted(pair - present):
            said = f"The direct conversation {conversation} lacks its member {user}."
            self._found.add(Problem("member", said, user, conversation))
        for user in sorted(present - pair):
            said = f"The direct conversation {conversation} has the member {user}, who is none of its two."
            self._found.add(Problem("member", said, user, conversation))

    def _group(self, one: Document, rows: Sequence[Document]) -> None:
        conversation, owner = one["_id"], one.get("owner")
        known = {row["_id"]["u"] for row in rows}
        by_role = any(row.get("r") == "owner" for row in rows)
        if owner not in known and rows and (owner is not None or not by_role):
            said = f"the owner {owner}, who was never a member of it" if owner else "members and no owner"
            self._found.add(Problem("owner", f"The group {conversation} has {said}.", owner, conversation))

    def _member(self, row: Document, unknown: set[UserId]) -> None:
        conversation, user = row["_id"]["c"], row["_id"]["u"]
        if user in unknown:
            said = f"The member {user} of {conversation} is no user."
            self._found.add(Problem("user", said, user, conversation))
        if not _is_in_order(row["w"]) or (pair_of(conversation) and row["w"] != [[1, None]]):
            said = f"The stays of {user} in {conversation} make no sense: {row['w']}."
            self._found.add(Problem("member", said, user, conversation))


def _is_in_order(stays: Sequence[Sequence[int | None]]) -> bool:
    """Whether each stay begins where the one before has ended, or later, and only the last goes on."""
    free = 1
    for number, (low, high) in enumerate(stays, 1):
        is_last = number == len(stays)
        if low == PENDING:
            return is_last and high is None
        if low is None or low < free:
            return False
        if high is None or high == PENDING:
            return is_last
        if high < low:
            return False
        free = high
    return bool(stays)
