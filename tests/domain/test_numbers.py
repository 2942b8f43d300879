from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw, Struct

from domain import numbers


class Note(Struct, tag_field="type", tag="note", forbid_unknown_fields=True):
    ref: int
    body: Raw
    places: list[int] = []


class Mark(Struct, tag_field="type", tag="mark", forbid_unknown_fields=True):
    at: int


decoder = msgspec.json.Decoder(Note | Mark)
BODY = b'{"a" : 1.10, "b":[1e5, -0, 3.0, 12345678901234567890], "c":"\\u00e9 3.0"}'


@pytest.mark.parametrize("ref, number", [(b"3", 3), (b"3.0", 3), (b"3e0", 3), (b"30e-1", 3), (b"-0.0", 0)])
def test_integer_may_be_written_with_a_point(ref, number):
    assert numbers.decode(decoder, b'{"type":"mark","at":%b}' % ref).at == number


@pytest.mark.parametrize("ref", [b"1", b"1.0", b"1e0"])
@pytest.mark.parametrize("text", [True, False], ids=["text", "bytes"])
def test_what_is_left_as_it_came_is_left_so_whatever_the_other_fields_hold(ref, text):
    asked = b'{"type":"note", "ref": %b, "body": %b, "places":[2.0, 5]}' % (ref, BODY)
    got = numbers.decode(decoder, asked.decode() if text else asked)
    assert (got.ref, bytes(got.body), got.places) == (1, BODY, [2, 5])


@pytest.mark.parametrize("at", [b"1.5", b"1e400", b"1e-3", b'"3.0"', b"true", b"[3.0]"])
def test_what_is_no_integer_is_refused_with_the_first_reason(at):
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`.*\$\.at|out of range"):
        numbers.decode(decoder, b'{"type":"mark","at":%b}' % at)


def test_text_that_is_no_object_is_refused():
    with pytest.raises(msgspec.ValidationError):
        numbers.decode(decoder, b"1.0")
