"""Limits that agree: what one of them allows fits into the request and the record that carry it.

The limits of texts count the text. JSON may write each of its bytes as six, `\\u0041` for `A`.
"""

from __future__ import annotations

TEXT_BYTES = 65_536
"""The most bytes of UTF-8 in the text of a message."""

MEDIA_BYTES = 20_480
"""The most bytes in the JSON of an image, voice or file: more than all of its fields can have together."""

ESCAPED = 6
"""The most bytes of JSON for one byte of a text."""

AROUND_BYTES = 1_024
"""Room for the JSON and the white space around a text."""

BODY_BYTES = ESCAPED * TEXT_BYTES + AROUND_BYTES
"""The most bytes of a body as it is sent and stored, escapes and white space included."""

MESSAGE_BYTES = BODY_BYTES + 40 * 1_024
"""The most bytes of an encoded message: its body, ids, times, mentions and reactions."""

REF_CHARACTERS = 1_024
"""The most characters in the `ref` of a frame."""

FRAME_BYTES = 430_080
"""The most bytes of a send, as a request or as a frame. All fields but the body have 35,840 at most."""

BATCH_BYTES = 4_194_304
"""The most bytes of a request that sends several messages."""

RECORD_BYTES = 1_000_000
"""What a record on Kafka may take, with some room below the limit of the brokers."""

MOST_MEMBERS = 6_000
"""The most members that a group may be allowed."""

MOST_RECIPIENTS = 5_000
"""The most recipients of a message in one record: an arrival names them all, at 88 bytes each."""

GATEWAYS_BYTES = 65_536
"""The most bytes that an arrival has for the gateways of its users. With more, it does not name them."""

PAGE_BYTES = 4_194_304
"""About how many bytes of messages an answer holds. One with more ends earlier, and says so."""

_ID_BYTES = ESCAPED * 64 + len('"",')


def request_bytes(group_members: int) -> int:
    """The most bytes of a request body: the longest send, or a group of so many members with long ids."""
    return max(FRAME_BYTES, _ID_BYTES * group_members + 8 * AROUND_BYTES)


def whole(sizes: list[int]) -> int:
    """How many of these fit into one answer; at least one, so that whoever asks gets on."""
    total = 0
    for at, size in enumerate(sizes):
        total += size
        if at and total > PAGE_BYTES:
            return at
    return len(sizes)
