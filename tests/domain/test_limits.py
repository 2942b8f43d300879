"""The limits agree with each other: what one allows fits into what carries it."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import fields

from api.gateway.frames import Send
from api.server import LARGEST_FRAME_BYTES
from domain.entries import typed
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Delivery, gateway_bytes
from domain.limits import (
    BODY_BYTES,
    FRAME_BYTES,
    GATEWAYS_BYTES,
    MESSAGE_BYTES,
    MOST_MEMBERS,
    MOST_RECIPIENTS,
    PAGE_BYTES,
    RECORD_BYTES,
    REF_CHARACTERS,
    request_bytes,
    whole,
)
from domain.messages import Message
from domain.registers import Edit, Pin, Reactions, Registers, shown
from infra.kafka.clients import MAX_RECORD_BYTES
from infra.settings import SendSettings, SettingsError

LONG_ID = "x" * 64
CONVERSATION = f"d:{LONG_ID}:{LONG_ID}"
BODY = b'"' + b" " * (BODY_BYTES - 2) + b'"'


CHANGED = Registers(
    Edit(2**53 - 1, BODY, "2" * 24, [LONG_ID] * 50, [2**53 - 1]),
    reactions=Reactions(2**53 - 1, [(f":{n:030}:", [LONG_ID] * 100) for n in range(20)]),
    pin=Pin(2**53 - 1, True, LONG_ID),
)


def escaped(text: str) -> str:
    """JSON text with every character escaped."""
    units = text.encode("utf-16-be").hex()
    return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'


def escaped_object(**values: str) -> str:
    """An object of these JSON texts, every character of its names escaped."""
    return "{" + ", ".join(f"{escaped(name)}: {value}" for name, value in values.items()) + "}"


def test_longest_send_fits_into_a_request_and_a_frame():
    values = {
        "type": escaped("send"),
        "ref": escaped("😀" * REF_CHARACTERS),
        "client_message_id": escaped("😀" * 128),
        "kind": escaped("custom"),
        "conversation_id": escaped(CONVERSATION),
        "to": "null",
        "body": BODY.decode(),
        "reply_to": escaped(f"{CONVERSATION}:{2**53 - 1}"),
        "mentions": "[" + ",".join([escaped(LONG_ID)] * 50) + "]",
        "forward_of": "null",
    }
    assert values.keys() == {field.encode_name for field in fields(Send)} | {"type"}
    assert len(escaped_object(**values)) + 100 < FRAME_BYTES < LARGEST_FRAME_BYTES


@pytest.mark.parametrize("members", [1000, MOST_MEMBERS])
def test_largest_group_fits_into_a_request(members):
    ids = ",".join([escaped(LONG_ID)] * members)
    title = escaped("😀" * 200)
    written = escaped_object(kind=escaped("group"), members=f"[{ids}]", title=title)
    assert len(written) <= request_bytes(members)


def test_no_setting_allows_a_larger_group():
    assert SendSettings(group_members=MOST_MEMBERS).group_members == MOST_MEMBERS
    with pytest.raises(SettingsError, match=r"RINGPOST_SEND_GROUP_MEMBERS.*6000"):
        SendSettings(group_members=MOST_MEMBERS + 1)


def test_longest_message_fits_into_a_record_with_the_ids_of_the_largest_group():
    highest = 2**53 - 1
    name = f"{CONVERSATION}:{highest}"
    made = Message(name, CONVERSATION, highest, LONG_ID, "\u0001" * 128, "custom", Raw(BODY), "2" * 24, name)
    message = typed("edit", shown(made.encode(), CHANGED))
    assert len(message) <= MESSAGE_BYTES
    gateways = {f"{number:012x}": list(range(MOST_RECIPIENTS - 640, MOST_RECIPIENTS)) for number in range(20)}
    assert 0.95 * GATEWAYS_BYTES < gateway_bytes(gateways) <= GATEWAYS_BYTES
    arrival = Arrival(CONVERSATION, highest, ((LONG_ID, highest),) * MOST_RECIPIENTS, Raw(message), gateways)
    delivery = Delivery(CONVERSATION, highest, (LONG_ID,) * MOST_RECIPIENTS, Raw(message))
    written = DELIVERY_RECORDS.encode([delivery]), ARRIVAL_RECORDS.encode([arrival])
    assert max(map(len, written)) <= RECORD_BYTES < MAX_RECORD_BYTES
    assert len(written[0]) <= delivery.most_bytes
    assert len(written[1]) <= arrival.most_bytes
    assert ARRIVAL_RECORDS.decode(written[1])[0].seq == highest


@pytest.mark.parametrize(
    "sizes, fitting",
    [
        ([], 0),
        ([1], 1),
        ([1] * 200, 200),
        ([PAGE_BYTES] * 3, 1),
        ([2 * PAGE_BYTES, 1], 1),
        ([MESSAGE_BYTES] * 20, 9),
    ],
)
def test_answer_holds_at_least_one_message_and_then_as_many_as_fit(sizes, fitting):
    assert whole(sizes) == fitting
