"""The send path: check, number, store, answer, spread. Changes take it, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import cache
from typing import Any

from msgspec.structs import replace

from domain.changes import Change
from domain.conversations import direct_members
from domain.errors import BadRequest, Conflict, Forbidden, NotFound, Overloaded, RingpostError, Unavailable
from domain.ids import UserId, direct_id
from domain.messages import Draft, checked_body, sent_of
from infra.mongo.messages import MessageStore
from infra.settings import SendSettings
from infra.telemetry.names import QUEUE, SEND_S, SENT
from producers.backlog import Backlog
from producers.commit import Commit, Item, Outcome
from producers.group_commit import GroupCommit
from producers.groups import Groups
from producers.membership import Membership
from producers.quoting import Quoting

COMMIT_PAUSE_S = 0.003
"""Seconds from one group commit to the next. A send that comes later than that does not wait."""

_sent = cache(SENT.labels)
"""By outcome."""

SHARE = 10
"""One sender may have this part of the sends that wait: a tenth."""


class Sender:
    """One door for HTTP and WebSocket. Sends are admitted by the work that they make."""

    def __init__(
        self,
        commit: Commit,
        membership: Membership,
        groups: Groups,
        quoted: tuple[Quoting, MessageStore],
        backlog: Backlog,
        settings: SendSettings,
    ) -> None:
        self._quoting, self._messages = quoted
        self._backlog = backlog
        self._queued = QUEUE.labels("commit")
        self._share = max(1, settings.waiting // SHARE)
        self._sending: dict[UserId, int] = {}
        self._commits: GroupCommit[Item, Outcome] = GroupCommit(
            commit, settings.batch, settings.in_flight, settings.waiting, settings.queue_s, COMMIT_PAUSE_S
        )
        self._deadline_s = settings.deadline_s
        self._membership = membership
        self._groups = groups

    async def send(self, draft: Draft, to: UserId | None = None) -> Outcome:
        """Durable (majority, journaled) when it returns. Then each recipient gets it once, in any case.

        The same `client_message_id` of the sender in the conversation gets the first answer again, or
        Conflict if the content differs. `to` names the other person instead of the conversation's id.
        Raises NotFound, Forbidden, BadRequest, TooLarge, Conflict, Overloaded, Unavailable. After
        Unavailable the message is stored or not, and the same send again settles it.
        """
        return await self._in_time(self._send(draft, to))

    async def change(self, change: Change, recipients: int = 1) -> Outcome:
        """The change is durable and in effect when it returns. Then each recipient gets its entry once.

        The same change again gets the first answer. Raises Forbidden for who is no member any more, Conflict
        for another content under the same name, Overloaded, Unavailable. After Unavailable the same change
        again settles it.
        """
        return await self._in_time(self._commit(change, recipients))

    async def _in_time(self, sending: Coroutine[Any, Any, Outcome]) -> Outcome:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                outcome = await sending
        except TimeoutError:
            _sent(Unavailable.code).inc()
            raise Unavailable("The message could not be stored in time.") from None
        except RingpostError as error:
            _sent(error.code).inc()
            raise
        _sent("new" if outcome.created else "again").inc()
        SEND_S.observe(time.perf_counter() - began)
        return outcome

    async def _send(self, draft: Draft, to: UserId | None) -> Outcome:
        if to is not None:
            draft = replace(draft, conversation_id=direct_id(draft.sender_id, to))
        if draft.forward_of is None:
            draft = replace(draft, body=checked_body(draft.kind, draft.body))
        if draft.kind == "system":
            raise Forbidden("Only the server sends system messages.", "kind")
        if not draft.conversation_id:
            raise BadRequest("Give a conversation_id, or the user to send to.", "conversation_id")
        try:
            # The commit checks again at the number. So an outsider uses up no numbers.
            opening = direct_members(draft.conversation_id) if to is not None else None
            members = opening or await self._membership.with_member(draft.sender_id, draft.conversation_id)
            if draft.mentions or draft.reply_to or draft.forward_of:
                draft = await self._quoting.forwarded(await self._quoting.resolved(draft, members))
        except (BadRequest, Forbidden, NotFound, Conflict) as error:
            return await self._earlier(draft, error)
        if to is not None:  # only now: what is refused opens no conversation
            await self._groups.open_direct(draft.sender_id, to, "to")
        return await self._commit(draft, len(members.by_user))

    async def _earlier(self, draft: Draft, error: RingpostError) -> Outcome:
        """The answer of an earlier try, from when this could still be sent. Raises the error without one."""
        place = (draft.conversation_id, draft.key())
        earlier = (await self._messages.by_key([place])).get(place)
        if earlier is None or earlier.content_hash != draft.content_hash():
            raise error
        return Outcome(sent_of(earlier.message), False)

    async def _commit(self, item: Item, recipients: int) -> Outcome:
        self._queued.set(len(self._commits))
        sender, waiting = item.sender_id, self._sending.get(item.sender_id, 0)
        if waiting >= self._share:
            raise Overloaded("Too many of your messages are waiting to be stored.")
        self._backlog.check(recipients)
        self._backlog.enter(recipients)
        self._sending[sender] = waiting + 1
        try:
            return await self._commits.add(item)
        finally:
            self._backlog.leave(recipients)
            self._sending[sender] -= 1
            if not self._sending[sender]:
                del self._sending[sender]
