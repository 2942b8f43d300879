"""The send path: check, number, store, answer, spread."""

from __future__ import annotations

import asyncio
import time
from functools import cache

from msgspec.structs import replace

from domain.conversations import Members
from domain.errors import BadRequest, Forbidden, Overloaded, RingpostError, Unavailable
from domain.ids import UserId
from domain.messages import Draft, checked_body
from infra.settings import SendSettings
from infra.telemetry.names import QUEUE, SEND_S, SENT
from producers.backlog import Backlog
from producers.commit import Commit, Outcome
from producers.group_commit import GroupCommit
from producers.groups import Groups
from producers.membership import Membership

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
        backlog: Backlog,
        settings: SendSettings,
    ) -> None:
        self._backlog = backlog
        self._queued = QUEUE.labels("commit")
        self._share = max(1, settings.waiting // SHARE)
        self._sending: dict[UserId, int] = {}
        self._commits: GroupCommit[Draft, Outcome] = GroupCommit(
            commit, settings.batch, settings.in_flight, settings.waiting, settings.queue_s
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
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                outcome = await self._send(draft, to)
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
        draft = replace(draft, body=checked_body(draft.kind, draft.body))
        if draft.kind == "system":
            raise Forbidden("Only the server sends system messages.", "kind")
        if to is not None:
            opened, _ = await self._groups.open_direct(draft.sender_id, to, "to")
            draft = replace(draft, conversation_id=opened)
            recipients = 2
        else:
            recipients = len((await self._checked(draft)).by_user)
        self._queued.set(len(self._commits))
        sender, waiting = draft.sender_id, self._sending.get(draft.sender_id, 0)
        if waiting >= self._share:
            raise Overloaded("Too many of your messages are waiting to be stored.")
        self._backlog.check(recipients)
        self._backlog.enter(recipients)
        self._sending[sender] = waiting + 1
        try:
            return await self._commits.add(draft)
        finally:
            self._backlog.leave(recipients)
            self._sending[sender] -= 1
            if not self._sending[sender]:
                del self._sending[sender]

    async def _checked(self, draft: Draft) -> Members:
        """The members, of whom the sender is one. The commit checks again at the number.

        So an outsider uses up no numbers.
        """
        if not draft.conversation_id:
            raise BadRequest("Give a conversation_id, or the user to send to.", "conversation_id")
        members = self._membership.known(draft.conversation_id, 0)
        if members is None or not members.has(draft.sender_id):
            members = await self._membership.seen_by(draft.sender_id, draft.conversation_id)
        if not members.has(draft.sender_id):
            raise Forbidden("You are no longer a member of this conversation.", "conversation_id")
        return members
