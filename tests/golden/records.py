"""The values behind the files of this folder. Run as a module to write the files that are missing;
a file that is there is never changed: it is what was once written to Kafka or Redis."""

from __future__ import annotations

import struct
from pathlib import Path

from msgspec import Raw

from domain.entries import Entry, encode_entry
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Delivery
from domain.messages import Message

FOLDER = Path(__file__).parent

MESSAGE = Message(
    "d:ann:bob:7",
    "d:ann:bob",
    7,
    "ann",
    "c-1",
    "text",
    Raw(b'{"text":"h\xc3\xa9"}'),
    "2026-01-02T03:04:05.678Z",
)
DELIVERY = Delivery("d:ann:bob", 7, ("ann", "bob"), Raw(MESSAGE.encode()))
ARRIVAL = Arrival("d:ann:bob", 7, (("ann", 41), ("bob", 3)), Raw(MESSAGE.encode()), {"gw1": [0, 1]})
UNKNOWN = Arrival("d:ann:bob", 8, (("ann", 42),), Raw(b'{"seq":8}'))
ENTRY = Entry(41, MESSAGE.encode())
GENERATION = bytes.fromhex("4f8a20c3")

GOLDEN: dict[str, bytes] = {
    "message.v1.json": MESSAGE.encode(),
    "deliveries.v2.json": DELIVERY_RECORDS.encode([DELIVERY, DELIVERY]),
    "arrivals.v2.json": ARRIVAL_RECORDS.encode([ARRIVAL, UNKNOWN]),
    "entry.v1.json": encode_entry(ENTRY),
    "ring_element.v1.bin": struct.pack(">Q", ENTRY.seq) + GENERATION + ENTRY.message,
    "ring_marker.v1.bin": struct.pack(">Q", 40) + GENERATION,
}

EARLIER = ("delivery.v1.json", "arrival.v1.json")
"""What earlier versions wrote and this one only reads."""

if __name__ == "__main__":
    for name, value in GOLDEN.items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(value)
