"""What was once written still decodes, and is written the same today."""

from __future__ import annotations

import msgspec
import pytest

from domain.events import Arrival, Delivery, decode_arrival, decode_delivery
from domain.messages import Message, sent_of
from infra.redis.ring import Ring
from tests.builders import generation_of, keys_of, opened_redis, settings_for
from tests.golden.records import ARRIVAL, DELIVERY, ENTRY, FOLDER, GENERATION, GOLDEN, MESSAGE


def kept(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_encoding_of_today_is_that_of_the_file(name):
    assert GOLDEN[name] == kept(name)


def test_every_file_is_checked():
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".bin"}}
    assert files == set(GOLDEN)


def test_kept_delivery_decodes():
    delivery = decode_delivery(kept("delivery.v1.json"))
    assert delivery.to == DELIVERY.to
    assert bytes(delivery.message) == kept("message.v1.json")


def test_kept_arrival_decodes():
    arrival = decode_arrival(kept("arrival.v1.json"))
    assert arrival.to == ARRIVAL.to
    assert bytes(arrival.message) == kept("message.v1.json")


def test_kept_message_decodes():
    message = msgspec.json.decode(kept("message.v1.json"), type=Message)
    assert (message.message_id, message.sent_at) == (MESSAGE.message_id, MESSAGE.sent_at)
    assert sent_of(kept("message.v1.json")).seq == 7


@pytest.mark.parametrize("decode, name", [(decode_delivery, "delivery"), (decode_arrival, "arrival")])
def test_record_with_a_field_of_tomorrow_decodes(decode, name):
    """Events are additive: a consumer of today reads what a producer of tomorrow writes."""
    newer = kept(f"{name}.v1.json")[:-1] + b',"tomorrow":{"a":[1]}}'
    assert decode(newer).seq == 7


@pytest.mark.parametrize("event", [Delivery, Arrival])
def test_record_of_another_kind_does_not_decode(event):
    other = "arrival" if event is Delivery else "delivery"
    with pytest.raises(ValueError, match="type"):
        msgspec.json.decode(kept(f"{other}.v1.json"), type=event)


@pytest.mark.parametrize("seq", [0, -1, 2**53, 2**80])
@pytest.mark.parametrize("decode, name", [(decode_delivery, "delivery"), (decode_arrival, "arrival")])
def test_record_with_an_impossible_number_does_not_decode(decode, name, seq):
    """I9: it is poison from the start, and does not stop the store's driver later."""
    with pytest.raises(ValueError, match="int"):
        decode(kept(f"{name}.v1.json").replace(b'"seq":7', b'"seq":%d' % seq, 1))


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
