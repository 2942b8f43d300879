"""The records on Kafka: typed, frozen, additive. A new field has a default, and old bytes still decode.

A record of `deliveries` or `arrivals` holds several items, and each item one message:
`{"type": "deliveries", "items": [[conversation_id, seq, to, message], …]}`. `message` is the encoded message,
as the send path made it. The form before this one held one item, as an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import astuple

from domain.ids import MAX_SEQ, ConversationId, UserId

SOFT_BYTES = 262_144
"""The most bytes of a record that holds several items."""

Seq = Annotated[int, Meta(ge=1, le=MAX_SEQ)]
Recipient = Annotated[UserId, Meta(min_length=1, max_length=64)]
Conversation = Annotated[ConversationId, Meta(min_length=1, max_length=131)]
Index = Annotated[int, Meta(ge=0)]


class Delivery(Struct, frozen=True, array_like=True, gc=False):
    """Of `deliveries`: one stored message, and its recipients in this partition."""

    conversation_id: Annotated[Conversation, Meta(description="The conversation.")]
    seq: Annotated[Seq, Meta(description="The place in the conversation.")]
    to: Annotated[tuple[Recipient, ...], Meta(description="The recipients in this partition.")]
    message: Annotated[Raw, Meta(description="The message, or what an entry of another type carries.")]

    @property
    def most_bytes(self) -> int:
        return 256 + len(self.message) + 67 * len(self.to)


class Arrival(Struct, frozen=True, array_like=True, gc=False):
    """Of `arrivals`: one message, and the inbox numbers that it has in these users' timelines.

    `gateways` names the gateways on which these users have devices. It gives for each the users, by their
    places in `to`, counted from 0. None: this is not known.
    """

    conversation_id: Annotated[Conversation, Meta(description="The conversation.")]
    seq: Annotated[Seq, Meta(description="The place in the conversation.")]
    to: Annotated[
        tuple[tuple[Recipient, Seq], ...],
        Meta(description="The users of this partition, each with the number in their inbox."),
    ]
    message: Annotated[Raw, Meta(description="The message, or what an entry of another type carries.")]
    gateways: Annotated[
        Mapping[str, list[Index]] | None,
        Meta(description="Gateway to the places in `to` of the users who have devices there, or null."),
    ] = None

    def __post_init__(self) -> None:
        for places in (self.gateways or {}).values():
            if places and max(places) >= len(self.to):
                raise ValueError("a gateway names a user who is not in the record")

    @property
    def most_bytes(self) -> int:
        gateways = self.gateways or {}
        return 256 + len(self.message) + 88 * len(self.to) + gateway_bytes(gateways)


def gateway_bytes(gateways: Mapping[str, Sequence[int]]) -> int:
    """The most bytes that these take in a record."""
    return sum(len(gateway) + 6 + 5 * len(places) for gateway, places in gateways.items())


class Deliveries(Struct, frozen=True, tag="deliveries", gc=False):
    """A record of `deliveries`."""

    items: Annotated[tuple[Delivery, ...], Meta(description="Messages of one commit, in order.")]


class _OneDelivery(Delivery, frozen=True, array_like=False, tag="delivery"):
    """The form before."""


class Arrivals(Struct, frozen=True, tag="arrivals", gc=False):
    """A record of `arrivals`."""

    items: Annotated[tuple[Arrival, ...], Meta(description="Messages that inbox has numbered, in order.")]


class _OneArrival(Arrival, frozen=True, array_like=False, tag="arrival"):
    """The form before."""


class _Items(Struct):
    type: str
    items: tuple[Raw, ...]


class Broken(NamedTuple):
    """An item that can never be processed: a record that holds it alone, and what is wrong with it."""

    record: bytes
    error: Exception


Item = TypeVar("Item", Delivery, Arrival)
_encode = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(_Items).decode


class Records(Generic[Item]):
    """How the records of a topic are written and read."""

    def __init__(self, item: type[Item], several: Any, before: Any) -> None:
        self._item: Any = item
        self._several = several
        self._tag: str = several.__struct_config__.tag
        self._decode = msgspec.json.Decoder(several | before).decode
        self._decode_item: Callable[[Raw], Item] = msgspec.json.Decoder(item).decode

    def encode(self, items: Sequence[Item]) -> bytes:
        """One record of these items."""
        return _encode(self._several(tuple(items)))

    def encode_all(self, items: Sequence[Item]) -> list[bytes]:
        """The items in order, in as few records as `SOFT_BYTES` allows. An item that is larger has a record
        of its own.
        """
        records: list[bytes] = []
        first = size = 0
        for index, item in enumerate(items):
            more = item.most_bytes
            if index > first and size + more > SOFT_BYTES:
                records.append(self.encode(items[first:index]))
                first, size = index, 0
            size += more
        records.append(self.encode(items[first:]))
        return records

    def decode(self, value: bytes) -> Sequence[Item | Broken]:
        """The items of a record. Raises ValueError if none of it can be read."""
        try:
            record = self._decode(value)
        except ValueError as error:
            return self._apart(value, error)
        if isinstance(record, self._several):
            items: Sequence[Item] = record.items
            return items
        return [self._item(*astuple(record))]

    def _apart(self, value: bytes, error: ValueError) -> list[Item | Broken]:
        """The items, each read on its own. Raises the error if there are not several of them."""
        try:
            record = _items(value)
        except ValueError:
            raise error from None
        if record.type != self._tag or len(record.items) < 2:
            raise error
        return [self._one(raw) for raw in record.items]

    def _one(self, raw: Raw) -> Item | Broken:
        try:
            return self._decode_item(raw)
        except ValueError as error:
            return Broken(_encode(_Items(self._tag, (raw,))), error)


DELIVERY_RECORDS = Records(Delivery, Deliveries, _OneDelivery)
ARRIVAL_RECORDS = Records(Arrival, Arrivals, _OneArrival)
