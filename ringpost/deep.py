"""Reads the whole database and reports contradictions: `ringpost doctor --deep`.

The kinds of problems, by the name in the report:

    index        a unique index is missing, or is not unique
    gap          an inbox lacks a number: its numbers are 1, 2, 3 … without a gap
    dangling     a line of an inbox names a message that is not stored
    stranger     a line of an inbox names a message that is not this user's
    duplicate    an inbox has the same message twice
    undelivered  a message is not in the inbox of a recipient, and no row of the outbox waits for it
    message      a stored message cannot be read, or does not agree with what stands beside it
    repeated     the same send is stored twice
    conversation a message belongs to a conversation that does not exist
    cursor       a device has acknowledged more than its inbox has
    member       the stays of a member make no sense, or a direct conversation lacks one of its two members
    owner        the owner of a group was never a member of it
    user         a member or a sender is no user
    document     a document lacks a field, or has one of a wrong type

Only reads, page by page: the memory does not grow with the database. May run while Ringpost runs: what seems
to be missing is looked up again before it is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import msgspec

from domain.changes import Change, kept_of
from domain.conversations import ALWAYS, Member
from domain.ids import ConversationId, UserId, message_id, owner_of
from domain.messages import Draft, Message
from infra.mongo.audit import BRANCHES, Audit, Stretch
from infra.mongo.messages import Stored
from infra.mongo.rows import Place
from infra.mongo.timelines import Line
from ringpost.diagnosis import Diagnosis, Problem
from ringpost.memberlists import MemberLists, pair_of

EXPECTED = 10_000
"""About how many deliveries are looked up at a time."""

Say = Callable[[str], None]
Delivery = tuple[UserId, ConversationId, int]
"""A message that belongs in a user's inbox."""


_message = msgspec.json.Decoder(Message)


async def diagnose(audit: Audit, say: Say) -> Diagnosis:
    """Read everything once. `say` gets the progress. Raises Unavailable."""
    found = Diagnosis()
    lacking = await audit.lacking_indexes()
    for name in lacking:
        found.add(Problem("index", f"{name} is missing or is not unique"))
    counts = await audit.counts()
    found.waiting = await audit.waiting()
    of_inboxes, of_messages = (f"of about {counts[name]}" for name in ("timelines", "messages"))
    await _Inboxes(audit, found, lambda n: say(f"Read {n} {of_inboxes} entries of inboxes")).check()
    repeated = "messages.once" in lacking
    await _Messages(audit, found, lambda n: say(f"Read {n} {of_messages} messages"), repeated).check()
    await MemberLists(audit, found).check()
    await _cursors(audit, found)
    await audit.shapes("users", found.misfit)
    return found


class _Inboxes:
    """The lines of all inboxes, in order."""

    def __init__(self, audit: Audit, found: Diagnosis, say: Callable[[int], None]) -> None:
        self._audit = audit
        self._found = found
        self._say = say
        self._user: UserId | None = None
        self._last = 0
        self._memberships: dict[ConversationId, Member] = {}

    async def check(self) -> None:
        async for page in self._audit.lines(self._found.misfit):
            stored = await self._audit.stored({(line.conversation_id, line.seq) for line in page})
            for user, lines in groupby(page, lambda line: line.user_id):
                await self._one(user, list(lines), stored)
            self._found.entries += len(page)
            self._say(self._found.entries)

    async def _one(self, user: UserId, lines: Sequence[Line], stored: Mapping[Place, int]) -> None:
        if user != self._user:
            self._found.users += 1
            self._user, self._last = user, 0
            self._memberships = await self._audit.memberships(user)
        for line in lines:
            if line.inbox_seq != self._last + 1:
                await self._gap(user, self._last + 1, line.inbox_seq - 1)
            self._last = line.inbox_seq
            if (line.conversation_id, line.seq) not in stored:
                self._add("dangling", line, "is not stored")
            elif not self._is_theirs(line, stored[line.conversation_id, line.seq]):
                self._add("stranger", line, "is not theirs")

    async def _gap(self, user: UserId, low: int, high: int) -> None:
        """Looked up again: a number may have come after the page was read."""
        present = await self._audit.present(user, low, high)
        if high - low + 1 > len(present):
            numbers = f"{low}" if low == high else f"{low} to {high}"
            self._found.add(Problem("gap", f"The inbox of {user} lacks {numbers}.", user, None, low))

    def _is_theirs(self, line: Line, target: int) -> bool:
        """Whether the user's stays hold the message, and for a change the message that it changes."""
        pair = pair_of(line.conversation_id)
        if pair:
            return line.user_id in pair and line.seq >= 1
        member = self._memberships.get(line.conversation_id)
        return member is not None and member.holds(line.seq) and (not target or member.holds(target))

    def _add(self, kind: str, line: Line, said: str) -> None:
        name = message_id(line.conversation_id, line.seq)
        said = f"The inbox of {line.user_id} has {name} at {line.inbox_seq}, which {said}."
        self._found.add(Problem(kind, said, line.user_id, line.conversation_id, line.inbox_seq))


class _Messages:
    """The messages of all conversations, in order."""

    def __init__(
        self, audit: Audit, found: Diagnosis, say: Callable[[int], None], look_for_repeated: bool
    ) -> None:
        self._audit = audit
        self._found = found
        self._say = say
        self._look_for_repeated = look_for_repeated

    async def check(self) -> None:
        async for page in self._audit.messages(self._found.misfit):
            for one in page:
                self._agrees(one)
            await self._senders(page)
            if self._look_for_repeated:
                for conversation, seq in await self._audit.repeated(page):
                    self._add("repeated", conversation, seq, "is a send that is stored before it")
            await self._conversations({one.conversation_id for one in page})
            await self._delivered(page)
            self._found.messages += len(page)
            self._say(self._found.messages)

    def _agrees(self, one: Stored) -> None:
        """Compare a message with the fields beside it, which say the same in another way."""
        if one.type is not None:
            self._agrees_as_change(one)
            return
        try:
            read = _message.decode(one.message)
            draft = Draft(
                one.conversation_id,
                read.sender_id,
                read.client_message_id,
                read.kind,
                read.body,
                read.reply_to or None,
                read.mentions or (),
                read.forward_of or None,
            )
            key, content = draft.key(), draft.content_hash()
        except (ValueError, RecursionError):
            self._add("message", one.conversation_id, one.seq, "cannot be read")
            return
        name = message_id(one.conversation_id, one.seq)
        if read.message_id != name:
            self._add("message", one.conversation_id, one.seq, f"says that it is {read.message_id}")
        for differs, said in (
            ((read.conversation_id, read.seq) != (one.conversation_id, one.seq), "names another place"),
            (read.sender_id != one.sender_id, f"says that {read.sender_id} sent it, and not {one.sender_id}"),
            (key != one.key, "has a key of another sender or client_message_id"),
            (content != one.content_hash, "has the hash of another kind or body"),
        ):
            if differs and read.message_id == name:
                self._add("message", one.conversation_id, one.seq, said)
                return

    def _agrees_as_change(self, one: Stored) -> None:
        try:
            kept = kept_of(one.message)
            change = Change(cast("Any", one.type), one.conversation_id, kept.by, "", one.target, kept.value)
            content = change.content_hash()
        except (ValueError, RecursionError):
            self._add("message", one.conversation_id, one.seq, "cannot be read")
            return
        if kept.by != one.sender_id:
            said = f"says that {kept.by} made it, and not {one.sender_id}"
            self._add("message", one.conversation_id, one.seq, said)
        elif content != one.content_hash:
            self._add("message", one.conversation_id, one.seq, "has the hash of another change")

    async def _senders(self, page: Sequence[Stored]) -> None:
        unknown = await self._audit.unknown({one.sender_id for one in page if one.sender_id})
        for one in page:
            if one.sender_id in unknown:
                said = f"was sent by {one.sender_id}, who is no user"
                self._add("user", one.conversation_id, one.seq, said, one.sender_id)

    async def _conversations(self, conversations: set[ConversationId]) -> None:
        conversations = {one for one in conversations if owner_of(one) is None}
        for one in sorted(conversations - await self._audit.existing(conversations)):
            said = f"There are messages in {one}, and no such conversation."
            self._found.add(Problem("conversation", said, None, one))

    async def _delivered(self, page: Sequence[Stored]) -> None:
        """Look again for messages that are in no inbox and in no row. A row leaves the outbox when the
        inboxes have it.
        """
        missing = await self._undelivered(page, count=True)
        if missing:
            announced = await self._audit.announced({one[1:] for one in missing})
            missing = {one for one in missing if one[1:] not in announced}
        if missing:
            missing &= await self._undelivered(page, count=False)
        for user, conversation, seq in sorted(missing):
            self._add("undelivered", conversation, seq, f"is not in the inbox of {user}", user)

    async def _undelivered(self, page: Sequence[Stored], *, count: bool) -> set[Delivery]:
        """The deliveries of the page that no inbox has. `count`: also tell of those that one has twice."""
        missing: set[Delivery] = set()
        async for stretches, expected in self._batches(page):
            lines = await self._audit.received(stretches)
            have = Counter((line.user_id, line.conversation_id, line.seq) for line in lines)
            missing |= expected - set(have)
            if count:
                for (user, conversation, seq), times in have.items():
                    if times > 1:
                        said = f"is {times} times in the inbox of {user}"
                        self._add("duplicate", conversation, seq, said, user)
        return missing

    async def _batches(self, page: Sequence[Stored]) -> AsyncIterator[tuple[list[Stretch], set[Delivery]]]:
        """What each recipient must have of the page; about `EXPECTED` deliveries at a time."""
        stretches: list[Stretch] = []
        expected: set[Delivery] = set()
        for conversation, messages in groupby(page, lambda one: one.conversation_id):
            seqs = [(one.seq, one.target) for one in messages]
            for user, member in (await self._members(conversation)).items():
                theirs = [
                    seq for seq, target in seqs if member.holds(seq) and (not target or member.holds(target))
                ]
                if theirs:
                    stretches.append(Stretch(user, conversation, theirs[0], theirs[-1]))
                    expected.update((user, conversation, seq) for seq in theirs)
                if len(expected) >= EXPECTED or len(stretches) >= BRANCHES:
                    yield stretches, expected
                    stretches, expected = [], set()
        if stretches:
            yield stretches, expected

    async def _members(self, conversation: ConversationId) -> dict[UserId, Member]:
        pair = pair_of(conversation)
        if pair:
            return {user: Member(user, "member", ALWAYS) for user in pair}
        return await self._audit.members(conversation)

    def _add(
        self, kind: str, conversation: ConversationId, seq: int, said: str, user: UserId | None = None
    ) -> None:
        said = f"{message_id(conversation, seq)} {said}."
        self._found.add(Problem(kind, said, user, conversation, seq))


async def _cursors(audit: Audit, found: Diagnosis) -> None:
    async for page in audit.devices(found.misfit):
        for user, device, cursor in page:
            if cursor > 0 and not await audit.present(user, cursor, cursor):
                said = (
                    f"The device {device} of {user} has acknowledged {cursor}, which its inbox does not have."
                )
                found.add(Problem("cursor", said, user, None, cursor))
