"""The records on Kafka: typed, frozen, additive. A new field has a default; old bytes still decode.

`message` is the encoded message, as the send path made it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from domain.ids import MAX_SEQ, ConversationId, UserId

Seq = Annotated[int, Meta(ge=1, le=MAX_SEQ)]


class Delivery(Struct, frozen=True, tag="delivery"):
    """`deliveries`: one stored message, and its recipients in this partition."""

    conversation_id: ConversationId
    seq: Seq
    to: tuple[UserId, ...]
    message: Raw


class Arrival(Struct, frozen=True, tag="arrival"):
    """`arrivals`: one message and the inbox numbers that it has in these users' timelines."""

    conversation_id: ConversationId
    seq: Seq
    to: tuple[tuple[UserId, Seq], ...]
    message: Raw


encode = msgspec.json.Encoder().encode
decode_delivery = msgspec.json.Decoder(Delivery).decode
decode_arrival = msgspec.json.Decoder(Arrival).decode
