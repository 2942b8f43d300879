"""The book of one scenario: what was sent, what was answered, what arrived, and when.

Messages are numbers, and all that is known of one stands in arrays: a line costs less than a microsecond. On
the wire a number has eight digits, so that every frame of a conversation has the same length.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

FIRST_REF = 10_000_000
DIGITS = 8
FAILED = -1.0
CURVE = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1)
"""The points at which a distribution is kept."""


class Book:
    """`members` has the number of members of each conversation. Times are those of `time.perf_counter`.

    A moment of 0 means that it has not come yet, `FAILED` that the server refused the message.
    """

    def __init__(self, tag: str, members: Sequence[int]) -> None:
        self.tag = tag
        self.mark = f'"client_message_id":"{tag}.'.encode()
        self.members = members
        self.due = array("d")
        self.answered_at = array("d")
        self.pushed_at = array("d")
        """When the newest entry arrived at a member who is not the sender."""
        self.arrivals = array("L")
        self.sender = array("l")
        self.conversation = array("l")
        self.done: list[int] = []
        """Messages that were answered or refused since somebody emptied this list."""
        self.errors: Counter[str] = Counter()
        self.refused_with_wait: Counter[str] = Counter()
        """How many of the refusals said after how long to come again."""
        self.out_of_order = 0
        self._finished = 0
        self._expected = 0
        self._arrived = 0

    def __len__(self) -> int:
        """Messages begun."""
        return len(self.due)

    def begin(self, conversation: int, sender: int, due: float) -> int:
        """The number on the wire of a message that was due at this moment."""
        self.due.append(due)
        self.answered_at.append(0.0)
        self.pushed_at.append(0.0)
        self.arrivals.append(0)
        self.sender.append(sender)
        self.conversation.append(conversation)
        return FIRST_REF + len(self.due) - 1

    def answered(self, ref: int, now: float) -> None:
        """The server says that the message is stored."""
        number = ref - FIRST_REF
        self.answered_at[number] = now
        self._expected += self.members[self.conversation[number]]
        self._finished += 1
        self.done.append(number)

    def failed(self, ref: int, reason: str, says_when: bool = False) -> None:
        """The server refused the message, or could not be asked."""
        self.answered_at[ref - FIRST_REF] = FAILED
        self.errors[reason] += 1
        self.refused_with_wait[reason] += says_when
        self._finished += 1
        self.done.append(ref - FIRST_REF)

    def arrived(self, ref: int, user: int, now: float) -> None:
        """An entry with this message at a socket of the user."""
        number = ref - FIRST_REF
        self.arrivals[number] += 1
        self._arrived += 1
        if user != self.sender[number]:
            self.pushed_at[number] = now

    def disconnected(self, user: int) -> None:
        """Nobody answers any more what this user has sent so far."""
        for number, at in enumerate(self.answered_at):
            if at == 0 and self.sender[number] == user:
                self.failed(FIRST_REF + number, "no answer")

    def settled(self) -> bool:
        """Whether all is answered, and as many entries have arrived as were to come."""
        return self._arrived >= self._expected and self._finished == len(self)

    def stored(self, numbers: Iterable[int]) -> list[int]:
        """Those of the messages that were answered with success."""
        return [number for number in numbers if self.answered_at[number] > 0]

    def answer_s(self, stored: Iterable[int]) -> list[float]:
        """From when each message was due to its answer."""
        return [self.answered_at[number] - self.due[number] for number in stored]

    def push_s(self, stored: Iterable[int]) -> list[float]:
        """From when each message was due to its arrival at the last of the other members."""
        return [self.pushed_at[n] - self.due[n] for n in stored if self.pushed_at[n]]

    def checks(self) -> dict[str, int]:
        """Entries of stored messages that are missing or came again, and gaps between entries of a socket."""
        missing = again = 0
        for number in self.stored(range(len(self))):
            difference = self.members[self.conversation[number]] - self.arrivals[number]
            missing += max(0, difference)
            again += max(0, -difference)
        return {"missing": missing, "duplicates": again, "out of order": self.out_of_order}


def percentile(ordered: Sequence[float], at: float) -> float:
    """The value of an ordered sequence at `at`, from 0 to 1: the nearest one, none is made up."""
    return ordered[round((len(ordered) - 1) * at)]


def latency(name: str, seconds: Iterable[float]) -> dict[str, Any]:
    """p50 and p99 in milliseconds under this name; empty for no values."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    points = (("p50", 0.5), ("p99", 0.99))
    return {f"{name} {point}, ms": percentile(ordered, at) * 1000 for point, at in points}


def curve(seconds: Iterable[float]) -> list[tuple[float, float]]:
    """The distribution: (share, milliseconds) at the points of `CURVE`."""
    ordered = sorted(seconds)
    return [(at, round(percentile(ordered, at) * 1000, 3)) for at in CURVE] if ordered else []
