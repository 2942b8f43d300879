"""One group commit: take numbers, store the messages with the row that announces them, then spread them.

Changes of messages and of own state go the same way. They take effect between the store and the spread.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from msgspec import UNSET

from domain.changes import Change, kept_of
from domain.clock import now_ms, rfc3339
from domain.conversations import Members
from domain.errors import Conflict, Forbidden, RingpostError, Unavailable
from domain.ids import ConversationId, message_id
from domain.messages import Draft, Message, Sent, sent_of
from infra.crash import crash_point
from infra.mongo.messages import MessageStore, Stored
from infra.mongo.rows import Place, Row
from infra.telemetry.names import STORE_S, STORED
from producers.barrier import Barrier
from producers.changes import Changes
from producers.lease import Lease
from producers.membership import Membership
from producers.numbering import Numbering
from producers.records import Spreadable
from producers.spread import Spreader

TRIES = 8

Item = Draft | Change
"""What is to be stored."""


class Outcome(NamedTuple):
    """The answer to a send. `created` is false for a repetition of an earlier send."""

    sent: Sent
    created: bool


class _Numbered(NamedTuple):
    at: int
    draft: Item
    members: Members
    stored: Stored


@dataclass(frozen=True)
class Commit:
    """Stores a batch of drafts. Returns for each an outcome, or the error that its sender gets.

    Stored messages are durable (majority, journaled) when it returns. It hands them to the spreader in the
    order of the batch.
    """

    _messages: MessageStore
    _changes: Changes
    _numbering: Numbering
    _membership: Membership
    _lease: Lease
    _barrier: Barrier
    _spreader: Spreader

    async def __call__(self, drafts: Sequence[Item]) -> list[Outcome | Exception]:
        began = time.perf_counter()
        self._lease.check_room()
        outcomes: list[Outcome | Exception] = [
            Unavailable("The message got no number in its conversation.") for _ in drafts
        ]
        waiting = list(enumerate(drafts))
        for _ in range(TRIES):
            waiting = await self._store(waiting, outcomes)
            if not waiting:
                break
            await self._numbering.outrun({draft.conversation_id for _, draft in waiting})
        STORE_S.observe(time.perf_counter() - began)
        return outcomes

    async def _store(
        self, drafts: Sequence[tuple[int, Item]], outcomes: list[Outcome | Exception]
    ) -> list[tuple[int, Item]]:
        """One try. Fills in outcomes. Returns the drafts whose numbers were taken already."""
        numbered = await self._number(drafts, outcomes)
        if not numbered:
            return []
        row = self._lease.new_row(_places(numbered))
        crash_point("numbered")
        try:
            refused = await self._messages.insert([item.stored for item in numbered], row)
        except RingpostError as error:
            # In an outage there may be one for each send, so nothing is kept of what was certainly not done.
            if not (isinstance(error, Unavailable) and error.nothing_done):
                self._lease.give_up(row)  # stored or not: the relay will see
            raise
        crash_point("stored")
        taken = {index for index, number_taken in refused if number_taken}
        repeated = {index for index, number_taken in refused if not number_taken}
        fresh = [item for index, item in enumerate(numbered) if index not in taken | repeated]
        STORED.inc(len(fresh))
        if fresh:
            fault = await self._spread(row._replace(places=_places(fresh)), fresh)
        else:
            fault = None
            self._barrier.confirmed([row.row_id], (), {})
        for item in fresh:
            in_doubt = fault if item.stored.type is not None else None
            outcomes[item.at] = in_doubt or Outcome(_sent(item.stored), True)
        await self._answer_again([numbered[index] for index in repeated], outcomes)
        return [(numbered[index].at, numbered[index].draft) for index in sorted(taken)]

    async def _spread(self, row: Row, stored: Sequence[_Numbered]) -> RingpostError | None:
        """Let changes take effect. Hand everything to the spreader, with the member list at its number.

        Uses the current member list if it changed since numbering. This happens when Redis lost its counter
        and handed out the same number twice. Returns the error that leaves it to the relay.
        """
        changes = [item.stored for item in stored if item.stored.type is not None]
        try:
            changed = await self._membership.changed(item.members for item in stored)
            contents = await self._changes.settle(changes) if changes else {}
        except RingpostError as error:
            self._lease.give_up(row)  # the relay will ask
            return error
        items = []
        for _, _, members, one in stored:
            now = changed.get(members.conversation_id, members)
            if one.type is None:
                items.append(Spreadable(now, one.seq, one.message))
            elif content := contents.get((one.conversation_id, one.seq)):
                items.append(Spreadable(now, one.seq, content.carried, content.target))
        self._spreader.submit(row, items)
        return None

    async def _number(
        self, drafts: Sequence[tuple[int, Item]], outcomes: list[Outcome | Exception]
    ) -> list[_Numbered]:
        """Give each draft its seq. A draft whose sender is no member at that seq gets its error."""
        wanted = Counter(draft.conversation_id for _, draft in drafts)
        taken = await self._numbering.take(list(wanted.items()))
        numbers = dict(zip(wanted, taken, strict=True))
        lists = await self._lists({c: n.version for c, n in numbers.items()})
        seqs = {c: count(n.first) for c, n in numbers.items()}
        sent_at = rfc3339(now_ms())
        numbered: list[_Numbered] = []
        for index, draft in drafts:
            seq = next(seqs[draft.conversation_id])
            members = lists[draft.conversation_id]
            if isinstance(members, RingpostError):
                outcomes[index] = members
            elif members.holds(draft.sender_id, seq):
                numbered.append(_Numbered(index, draft, members, _stored(draft, seq, sent_at)))
            else:
                outcomes[index] = Forbidden("You are not a member of this conversation.", "conversation_id")
        return numbered

    async def _lists(
        self, versions: Mapping[ConversationId, int]
    ) -> dict[ConversationId, Members | RingpostError]:
        """The member list of each conversation at this version or later, or the error that it gives."""
        known = {c: self._membership.known(c, version) for c, version in versions.items()}
        lists: dict[ConversationId, Members | RingpostError] = {c: m for c, m in known.items() if m}

        async def read(conversation: ConversationId, version: int) -> None:
            try:
                lists[conversation] = await self._membership.at(conversation, version)
            except RingpostError as error:
                lists[conversation] = error

        if len(lists) < len(versions):
            await asyncio.gather(*[read(c, version) for c, version in versions.items() if c not in lists])
        return lists

    async def _answer_again(self, repeated: Sequence[_Numbered], outcomes: list[Outcome | Exception]) -> None:
        """The answers that the first sends of these client_message_ids got, in one read.

        Under overload clients repeat their sends. These repetitions must not slow down other sends. A change
        is in effect when its repetition is answered.
        """
        if not repeated:
            return
        try:
            earlier = await self._messages.by_key((i.stored.conversation_id, i.stored.key) for i in repeated)
            changes = [one for one in earlier.values() if one.type is not None]
            if changes:
                await self._changes.settle(changes)
        except RingpostError as error:
            for item in repeated:
                outcomes[item.at] = error
            return
        for item in repeated:
            first = earlier.get((item.stored.conversation_id, item.stored.key))
            outcomes[item.at] = _answer_of(first, item.stored)


def _places(numbered: Sequence[_Numbered]) -> list[Place]:
    return [(item.stored.conversation_id, item.stored.seq) for item in numbered]


def _answer_of(first: Stored | None, again: Stored) -> Outcome | Exception:
    """The first answer if the content is the same; otherwise the error."""
    if first is None:
        return Unavailable("An earlier try of this send has not ended yet.")
    if first.content_hash != again.content_hash:
        what = "message" if again.type is None else "edit"
        return Conflict(f"This client_message_id was used for another {what}.", "client_message_id")
    return Outcome(_sent(first), False)


def _sent(stored: Stored) -> Sent:
    if stored.type is None:
        return sent_of(stored.message)
    place = message_id(stored.conversation_id, stored.seq)
    return Sent(place, stored.conversation_id, stored.seq, kept_of(stored.message).at)


def _stored(item: Item, seq: int, sent_at: str) -> Stored:
    key, content_hash = item.key(), item.content_hash()
    if isinstance(item, Change):
        return Stored(
            item.conversation_id,
            seq,
            item.sender_id,
            key,
            content_hash,
            item.encode(sent_at),
            item.type,
            item.target,
        )
    message = Message(
        message_id(item.conversation_id, seq),
        item.conversation_id,
        seq,
        item.sender_id,
        item.client_message_id,
        item.kind,
        item.body,
        sent_at,
        UNSET if item.reply_to is None else item.reply_to,
        item.mentions or UNSET,
        item.forward_of or UNSET,
    )
    return Stored(
        item.conversation_id,
        seq,
        item.sender_id,
        key,
        content_hash,
        message.encode(),
        mentions=item.mentions,
    )
