"""The records by which stored messages are spread: for each inbox partition in which they have recipients,
and one on `messages` for observers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from domain.conversations import Members
from domain.events import Delivery, encode
from infra.kafka.publisher import Record
from infra.kafka.topics import DELIVERIES, MESSAGES

RECIPIENTS = 5_000
"""The most recipients in one record. With the largest message it stays well below Kafka's limit."""


class Spreadable(NamedTuple):
    """A stored message with the member list at its number."""

    members: Members
    seq: int
    message: bytes


def records_of(items: Sequence[Spreadable], partitions: int) -> list[Record]:
    """The records for the messages of one commit, in their order.

    The recipients are the same whichever process computes them, and whenever.
    """
    return [record for item in items for record in _records_of(item, partitions)]


def _records_of(item: Spreadable, partitions: int) -> list[Record]:
    conversation = item.members.conversation_id
    message = Raw(item.message)
    records = [
        Record(
            DELIVERIES,
            partition,
            b"%d" % partition,
            encode(Delivery(conversation, item.seq, tuple(users[start : start + RECIPIENTS]), message)),
        )
        for partition, users in item.members.recipients(item.seq, partitions).items()
        for start in range(0, len(users), RECIPIENTS)
    ]
    records.append(Record(MESSAGES, None, conversation.encode(), item.message))
    return records
