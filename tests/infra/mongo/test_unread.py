"""Unread messages against a naive count over all messages, whatever happened to them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from domain.changes import Change
from domain.conversations import Member, Own, Window
from domain.ids import MAX_SEQ, ConversationId, UserId
from infra.mongo.messages import MessageStore
from infra.mongo.registers import hidden_write, recall_write
from infra.mongo.unread import Unread, UnreadCounts
from tests.builders import ANN, BOB, CEM, opened_database, settings_for, stored, stored_change
from tests.models import run_model

MOST, LONG_LOOK = 4, 9
AT = "2026-01-02T03:04:05.678Z"
seqs = st.integers(1, 40)
_conversations = itertools.count(1)


class Model(RuleBasedStateMachine):
    """One conversation, and what Bob has read of it. Few documents are looked at, so that bounds are met."""

    def __init__(self, messages: MessageStore, counts: UnreadCounts, run: Callable[[Any], Any]) -> None:
        super().__init__()
        self.messages, self.counts, self.run = messages, counts, run
        self.conversation = ConversationId(f"g:{next(_conversations)}")
        self.head = 0
        self.senders: dict[int, UserId] = {}
        self.named: set[int] = set()
        self.gone: set[int] = set()
        self.own = Own()
        self.windows = [Window(1)]

    @rule(sender=st.sampled_from([ANN, BOB, CEM]), named=st.booleans(), count=st.integers(1, 3))
    def send(self, sender, named, count):
        for _ in range(count):
            self.head += 1
            mentions = ("bob",) if named else ()
            one = stored(self.conversation, self.head, sender)._replace(mentions=mentions)
            self.run(self.messages.insert([one]))
            self.senders[self.head] = sender
            if named:
                self.named.add(self.head)

    @rule(count=st.integers(1, 4))
    def change(self, count):
        """Records of changes have numbers of the conversation, and are not messages."""
        for _ in range(count):
            self.head += 1
            change = Change("reactions", self.conversation, ANN, f"n{self.head}", 1)
            self.run(self.messages.insert([stored_change(change, self.head)]))

    @precondition(lambda self: self.senders)
    @rule(seq=seqs, recalled=st.booleans())
    def take_away(self, seq, recalled):
        """Recalled by its sender, or hidden by Bob."""
        target = sorted(self.senders)[seq % len(self.senders)]
        place = (self.conversation, target)
        write = recall_write(place, self.head + 1, ANN, AT) if recalled else hidden_write(place, BOB)
        self.run(self.messages.change_each([write, hidden_write(place, CEM)]))
        self.gone.add(target)

    @rule(seq=seqs)
    def read(self, seq):
        self.own = Own(read_seq=max(self.own.read_seq, min(seq, self.head)), cleared_seq=self.own.cleared_seq)

    @rule(seq=seqs)
    def clear(self, seq):
        cleared = max(self.own.cleared_seq, min(seq, self.head) // 2)
        self.own = Own(read_seq=self.own.read_seq, cleared_seq=cleared)

    @rule()
    def leave_or_join(self):
        last = self.windows[-1]
        if last.left > MAX_SEQ:
            self.windows[-1] = Window(last.joined, self.head + 1)
        else:
            self.windows.append(Window(self.head + 1))

    def naive(self) -> list[list[int]]:
        """The unread messages of each stay, and all of its documents behind the mark."""
        behind = max(self.own.read_seq, self.own.cleared_seq)
        return [
            [seq for seq in range(1, self.head + 1) if window.holds(seq) and seq > behind]
            for window in self.windows
        ]

    @invariant()
    def count_is_the_naive_one(self):
        stays = self.naive()
        unread = [
            seq
            for stay in stays
            for seq in stay
            if seq in self.senders and self.senders[seq] != BOB and seq not in self.gone
        ]
        named = sum(seq in self.named for seq in unread)
        member = Member(BOB, "member", tuple(self.windows), self.own)
        other = (self.conversation, Member(BOB, "member", (Window(1),), Own(read_seq=self.head)))
        found, nothing = self.run(self.counts.of(BOB, [(self.conversation, member), other]))
        assert nothing == Unread(0, False, 0)
        assert found.mentions == min(named, MOST)
        assert found.unread <= min(len(unread), MOST)
        if not found.more:
            assert found.unread == len(unread)
        if max(map(len, stays)) < LONG_LOOK:
            assert found.unread == min(len(unread), MOST)
            assert found.more == (len(unread) > MOST)


def test_count_is_the_naive_one_whatever_happened(engines, unique):
    def machine(database, run):
        return Model(MessageStore(database), UnreadCounts(database, MOST, LONG_LOOK), run)

    run_model(opened_database(settings_for(engines, unique)), 30, machine)


@pytest.mark.parametrize("own, expected", [(3, Unread(3, False, 0)), (12, Unread(0, True, 0))])
async def test_stays_are_looked_at_one_by_one(engines, unique, own, expected):
    """Two stays with many own messages are no sign that there is more; one that is not seen to its end is."""
    async with opened_database(settings_for(engines, unique)) as database:
        messages = MessageStore(database)
        for first in (1, 21):
            await messages.insert([stored("g:x", seq, BOB) for seq in range(first + 2, first + 2 + own)])
        await messages.insert([stored("g:x", seq, ANN) for seq in (1, 21, 22)])
        member = Member(BOB, "member", (Window(1, 20), Window(21)), Own())
        assert await UnreadCounts(database, MOST, LONG_LOOK).of(BOB, [("g:x", member)]) == [expected]


async def test_recalled_message_mentions_nobody(engines, unique):
    async with opened_database(settings_for(engines, unique)) as database:
        messages, counts = MessageStore(database), UnreadCounts(database)
        await messages.insert([stored("g:x", seq)._replace(mentions=("bob",)) for seq in (1, 2)])
        await messages.change_each([recall_write(("g:x", 1), 3, ANN, AT)])
        assert await counts.of(BOB, [("g:x", Member(BOB, "member", (Window(1),)))]) == [Unread(1, False, 1)]
