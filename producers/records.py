"""The records by which the messages of a commit are spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from domain.conversations import Members
from domain.entries import carried_message, changes_content
from domain.events import DELIVERY_RECORDS, Delivery
from domain.ids import UserId, owner_of
from domain.limits import MOST_RECIPIENTS
from infra.kafka.publisher import Record
from infra.kafka.topics import DELIVERIES, MESSAGES
from infra.mongo.rows import Place


class Spreadable(NamedTuple):
    """A stored message or change with the member list at its number, and what its entries carry.

    `target` is the seq of the message that a change is about.
    """

    members: Members
    seq: int
    message: bytes
    target: int = 0


def records_of(items: Sequence[Spreadable], partitions: int) -> list[Record]:
    """The records for the messages of one commit: few for each inbox partition, and one on `messages` for
    each message and each change of one. Own state is nobody else's business.

    The order is kept in each partition. The recipients are the same whichever process computes them, and
    whenever. An edit or a recall goes to who has left as the message itself, which they have: they get no
    entry more, but their rings get the new content.
    """
    deliveries: dict[int, list[Delivery]] = {}
    records = []
    for members, seq, carried, target in items:
        conversation = members.conversation_id
        for partition, users in members.recipients(seq, partitions, target).items():
            _deliver(deliveries.setdefault(partition, []), (conversation, seq), users, carried)
        if changes_content(carried):
            message = carried_message(carried)
            for partition, users in members.without_the_change(seq, partitions, target).items():
                _deliver(deliveries.setdefault(partition, []), (conversation, target), users, message)
        if owner_of(conversation) is None:
            records.append(Record(MESSAGES, None, conversation.encode(), carried))
    for partition, some in deliveries.items():
        key = b"%d" % partition
        records += [Record(DELIVERIES, partition, key, value) for value in DELIVERY_RECORDS.encode_all(some)]
    return records


def _deliver(deliveries: list[Delivery], place: Place, users: Sequence[UserId], carried: bytes) -> None:
    """As many deliveries as the recipients need."""
    some = (tuple(users[start : start + MOST_RECIPIENTS]) for start in range(0, len(users), MOST_RECIPIENTS))
    deliveries += [Delivery(*place, to, Raw(carried)) for to in some]
