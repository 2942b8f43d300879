"""The book of one run: what was sent, what was answered, what arrived where, and how long it took."""

from __future__ import annotations

import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence


class Book:
    """Users and conversations are numbers here. Every stored message is due once to each member."""

    def __init__(self, run: str, users: int, members: Sequence[Sequence[int]]) -> None:
        self._prefix = run + "."
        self._users = users
        self._members = members
        self._due_at = array("d")
        self._sender = array("l")
        self._conversation = array("l")
        self._stored = bytearray()
        self._seen: set[int] = set()
        self._expected = 0
        self._heads = [0] * users
        self.measured_from = sys.maxsize
        self.answer_s = array("d")
        self.push_s = array("d")
        self.errors: Counter[str] = Counter()
        self.duplicates = 0
        self.out_of_order = 0
        self.stored = 0
        self.pushed = 0
        self.last_answer = 0.0
        self.last_push = 0.0

    def __len__(self) -> int:
        """Messages begun."""
        return len(self._due_at)

    def measure(self) -> None:
        """What is begun from now on counts in the figures; they begin anew."""
        self.measured_from = len(self)
        self.answer_s, self.push_s = array("d"), array("d")
        self.stored = self.pushed = 0

    @property
    def measured(self) -> int:
        return len(self) - self.measured_from

    def begin(self, conversation: int, sender: int, due_at: float) -> tuple[int, str]:
        """Number and client_message_id of a message that is due now."""
        number = len(self)
        self._due_at.append(due_at)
        self._sender.append(sender)
        self._conversation.append(conversation)
        self._stored.append(0)
        return number, f"{self._prefix}{number}"

    def answered(self, number: int) -> None:
        """The server says that the message is stored."""
        self._stored[number] = 1
        self._expected += len(self._members[self._conversation[number]])
        if number >= self.measured_from:
            self.last_answer = time.perf_counter()
            self.answer_s.append(self.last_answer - self._due_at[number])
            self.stored += 1

    def failed(self, number: int, reason: str) -> None:
        if number >= self.measured_from:
            self.errors[reason] += 1

    def arrived(self, user: int, inbox_seq: int, client_message_id: str, at: float) -> None:
        """An entry at a user's socket. Entries of a socket are to come without a gap, each once."""
        if inbox_seq != self._heads[user] + 1:
            self.out_of_order += 1
        self._heads[user] = max(self._heads[user], inbox_seq)
        if not client_message_id.startswith(self._prefix):
            return
        number = int(client_message_id[len(self._prefix) :])
        key = number * self._users + user
        if key in self._seen:
            self.duplicates += 1
            return
        self._seen.add(key)
        if number >= self.measured_from:
            self.pushed += 1
            self.last_push = at
            if user != self._sender[number]:
                self.push_s.append(at - self._due_at[number])

    def head(self, user: int) -> int:
        """The newest entry that the user's socket brought."""
        return self._heads[user]

    def settled(self) -> bool:
        """Whether everything that was stored has arrived everywhere."""
        return len(self._seen) >= self._expected and not self.missing()

    def missing(self) -> int:
        """Entries of stored messages that did not arrive."""
        absent = 0
        for number, conversation in enumerate(self._conversation):
            if self._stored[number]:
                first = number * self._users
                absent += sum(first + user not in self._seen for user in self._members[conversation])
        return absent


def quantiles_ms(values: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest, in milliseconds; empty for no values."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    points = {name: ordered[round(last * at)] for name, at in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}
    return {name: round(value * 1000, 2) for name, value in (points | {"max": ordered[-1]}).items()}
