"""What was once written still decodes, and is written the same today."""

from __future__ import annotations

import json

import msgspec
import pytest

from domain.entries import conversation_of
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Broken, Delivery
from domain.messages import Message, sent_of
from infra.redis.ring import Ring
from tests.builders import generation_of, keys_of, opened_redis, settings_for
from tests.golden.records import ARRIVAL, DELIVERY, EARLIER, ENTRY, FOLDER, GENERATION, GOLDEN, MESSAGE

FORMS_BEFORE = [(DELIVERY_RECORDS, "delivery.v1.json"), (ARRIVAL_RECORDS, "arrival.v1.json")]
FORMS = [(DELIVERY_RECORDS, "deliveries.v2.json"), (ARRIVAL_RECORDS, "arrivals.v2.json")]


def kept(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_encoding_of_today_is_that_of_the_file(name):
    assert GOLDEN[name] == kept(name)


def test_every_file_is_checked():
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".bin"}}
    assert files == {*GOLDEN, *EARLIER}


@pytest.mark.parametrize("name, count", [("delivery.v1.json", 1), ("deliveries.v2.json", 2)])
def test_kept_deliveries_decode(name, count):
    items = DELIVERY_RECORDS.decode(kept(name))
    assert [(type(item), item.seq, item.to) for item in items] == [(Delivery, 7, DELIVERY.to)] * count
    assert bytes(items[0].message) == kept("message.v1.json")


@pytest.mark.parametrize("name, gateways", [("arrival.v1.json", None), ("arrivals.v2.json", {"gw1": [0, 1]})])
def test_kept_arrivals_decode(name, gateways):
    item, *others = ARRIVAL_RECORDS.decode(kept(name))
    assert (type(item), item.seq, item.to, item.gateways) == (Arrival, 7, ARRIVAL.to, gateways)
    assert bytes(item.message) == kept("message.v1.json")
    assert [other.gateways for other in others] == [None] * len(others)


def test_kept_message_decodes():
    message = msgspec.json.decode(kept("message.v1.json"), type=Message)
    assert (message.message_id, message.sent_at) == (MESSAGE.message_id, MESSAGE.sent_at)
    assert sent_of(kept("message.v1.json")).seq == 7
    assert conversation_of(kept("message.v1.json")).decode() == MESSAGE.conversation_id


@pytest.mark.parametrize("records, name", FORMS_BEFORE)
def test_record_with_a_field_of_tomorrow_decodes(records, name):
    """Events are additive: a consumer of today reads what a producer of tomorrow writes."""
    newer = kept(name)[:-1] + b',"tomorrow":{"a":[1]}}'
    assert records.decode(newer)[0].seq == 7


@pytest.mark.parametrize("records, name", FORMS)
def test_item_with_a_field_of_tomorrow_decodes(records, name):
    newer = json.loads(kept(name))
    for item in newer["items"]:
        item.extend([None, {"tomorrow": [1]}] if name.startswith("deliveries") else [{"tomorrow": [1]}])
    assert records.decode(json.dumps(newer).encode())[0].seq == 7


@pytest.mark.parametrize("records, name", [*FORMS_BEFORE, *FORMS])
def test_record_of_another_kind_does_not_decode(records, name):
    other = ARRIVAL_RECORDS if records is DELIVERY_RECORDS else DELIVERY_RECORDS
    with pytest.raises(ValueError, match="type"):
        other.decode(kept(name))


@pytest.mark.parametrize("seq", [0, -1, 2**53, 2**80])
@pytest.mark.parametrize("records, name", FORMS_BEFORE)
def test_record_with_an_impossible_number_does_not_decode(records, name, seq):
    """I9: it is poison from the start, and does not stop the store's driver later."""
    with pytest.raises(ValueError, match="int"):
        records.decode(kept(name).replace(b'"seq":7', b'"seq":%d' % seq, 1))


@pytest.mark.parametrize("bad", [0, -1, 2**53, 2**80, "7", None])
@pytest.mark.parametrize("records, name", FORMS)
def test_item_that_breaks_a_rule_is_told_apart_as_a_record_that_decodes_alone(records, name, bad):
    """I9: its neighbours are read, and it can be replayed once the rule has changed."""
    record = json.loads(kept(name))
    good = json.dumps(record["items"][1])
    record["items"][0][1] = bad
    broken, item = records.decode(json.dumps(record).encode())
    assert isinstance(item, Delivery | Arrival)
    assert json.loads(broken.record) == {"type": record["type"], "items": [record["items"][0]]}
    with pytest.raises(ValueError, match="int"):
        records.decode(broken.record)
    assert records.decode(b'{"type":"%b","items":[%b]}' % (record["type"].encode(), good.encode()))


def test_user_whom_no_store_can_index_is_a_broken_item():
    """I9: an engine would refuse such an id for ever."""
    record = DELIVERY_RECORDS.encode([DELIVERY, DELIVERY]).replace(b'"ann"', b'"%b"' % (b"x" * 65), 1)
    broken, item = DELIVERY_RECORDS.decode(record)
    assert isinstance(broken, Broken)
    assert item.to == DELIVERY.to


def test_arrival_whose_gateway_names_nobody_is_a_broken_item():
    record = kept("arrivals.v2.json").replace(b"[0,1]", b"[0,2]")
    broken, item = ARRIVAL_RECORDS.decode(record)
    assert isinstance(broken, Broken)
    assert item.seq == 8


async def test_ring_of_kept_elements_is_read(engines, unique):
    """As if this Redis had been of their generation."""
    settings = settings_for(engines, unique)
    async with opened_redis(settings) as client:
        now = await generation_of(client)
        elements = kept("ring_marker.v1.bin"), kept("ring_element.v1.bin")
        assert {element[8:12] for element in elements} == {GENERATION}
        ring = keys_of(settings).ring("ann")
        await client.rpush(ring, *(element.replace(GENERATION, now, 1) for element in elements))
        held = await Ring(client, keys_of(settings), settings.ring).read("ann", 40, 10)
    assert held == (41, 41, [ENTRY])
