from __future__ import annotations

import json
from hashlib import blake2b
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from domain.errors import BadRequest, TooLarge
from domain.limits import BODY_BYTES
from domain.messages import BODY_LIMIT_BYTES, Draft, Kind, Message, checked_body, sent_of

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def body(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def draft_with(raw: bytes, kind: Kind = "custom") -> Draft:
    return Draft("d:ann:bob", "ann", "c1", kind, Raw(raw))


@pytest.mark.parametrize(
    "kind, value",
    [
        ("text", {"text": "hi"}),
        ("image", {"url": "u"}),
        ("image", {"url": "u", "thumbnail_url": "t", "width": 1, "height": 2, "size_bytes": 0, "mime": "m"}),
        ("voice", {"url": "u", "duration_ms": 900}),
        ("file", {"url": "u", "name": "a.pdf"}),
        ("custom", {}),
        ("custom", {"anything": [1, {"goes": None}]}),
        ("system", {"event": "x"}),
    ],
)
def test_good_body_passes(kind, value):
    assert checked_body(kind, body(value)) == body(value)


def test_an_integer_may_be_written_with_a_point_and_is_stored_so():
    asked = Raw(b'{"url": "\xc3\xbc", "width": 3.0, "size_bytes":1e3}')
    assert checked_body("image", asked) == asked


NUMBERS = b"[1.10, 1e5, -0, -0.0, 12345678901234567890, 0.1000, 3.0, 1E+2, 1e300, 0.30000000000000004e-5]"


def test_numbers_of_the_application_stay_as_they_are_written():
    asked = Raw(b'{"price": 3.0, "far": 1e300, "all" : %b}' % NUMBERS)
    assert checked_body("custom", asked) == asked


@pytest.mark.parametrize("written", ["1" + "0" * 309, "-" + "9" * 4_000, "9" * 4_400, "1e309"], ids=len)
def test_number_that_no_double_holds_is_out_of_range(written):
    with pytest.raises(BadRequest) as refused:
        checked_body("custom", Raw(b'{"a":[{"b":%b}]}' % written.encode()))
    assert (refused.value.message, refused.value.field) == (
        "body holds a number that is out of range.",
        "body",
    )


def test_number_that_a_double_holds_is_in_range_however_it_is_written():
    asked = Raw(b'{"a":[1%b, -1%b, 1e308]}' % (b"0" * 308, b"0" * 308))
    assert checked_body("custom", asked) == asked


@pytest.mark.parametrize(
    "kind, value, field",
    [
        ("text", {"text": 5}, "body.text"),
        ("text", {"text": ""}, "body.text"),
        ("text", {}, "body.text"),
        ("text", {"text": "a", "more": 1}, "body.more"),
        ("text", [], "body"),
        ("text", "hi", "body"),
        ("image", {"url": ""}, "body.url"),
        ("image", {"url": "u" * 2049}, "body.url"),
        ("image", {"url": "u", "width": 0}, "body.width"),
        ("image", {"url": "u", "height": 1.5}, "body.height"),
        ("voice", {"url": "u", "duration_ms": -1}, "body.duration_ms"),
        ("voice", {"duration_ms": 1}, "body.url"),
        ("file", {"url": "u", "name": "n" * 256}, "body.name"),
        ("file", {"url": "u", "size_bytes": 2**53}, "body.size_bytes"),
        ("custom", [1], "body"),
        ("system", None, "body"),
    ],
)
def test_bad_body_is_refused_and_its_field_named(kind, value, field):
    with pytest.raises(BadRequest) as refused:
        checked_body(kind, body(value))
    assert refused.value.field == field


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":}', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":NaN}'])
def test_body_that_is_no_json_is_refused(raw):
    with pytest.raises(BadRequest, match="not valid JSON"):
        checked_body("custom", Raw(raw))


@pytest.mark.parametrize("kind", ["custom", "system"])
def test_body_beyond_the_limit_of_its_kind_is_too_large(kind):
    """I8: every kind has its bound."""
    too_much = b'{"text":"' + b"x" * BODY_LIMIT_BYTES[kind] + b'"}'
    with pytest.raises(TooLarge) as refused:
        checked_body(kind, Raw(too_much))
    assert refused.value.field == "body"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_white_space_is_bounded_too(kind):
    """I8."""
    with pytest.raises(TooLarge):
        checked_body(kind, Raw(b'{"text":"a"' + b" " * BODY_BYTES + b"}"))


WRITTEN = {
    "plain": b"x",
    "escaped": b"\\u0078",
    "two bytes": b"\\u00fc",
    "three bytes": "好".encode(),
    "three bytes, escaped": b"\\u597d",
    "emoji": "😀".encode(),
    "emoji, escaped": b"\\ud83d\\ude00",
    "new line": b"\\n",
    "quote": b'\\"',
    "backslash": b"\\\\",
    "control": b"\\u0001",
}
"""Name → a character as JSON may write it."""


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("kind", ["text", "custom"])
def test_limit_counts_the_text_however_it_is_escaped(kind, name):
    around = b"" if kind == "text" else b'{"text":""}'
    room = BODY_LIMIT_BYTES[kind] - len(around)
    size = len(json.loads(b'"' + WRITTEN[name] + b'"').encode())
    fits = WRITTEN[name] * (room // size) + b"x" * (room % size)
    asked = Raw(b'{"text":"' + fits + b'"}')
    assert checked_body(kind, asked) == asked
    with pytest.raises(TooLarge) as refused:
        checked_body(kind, Raw(b'{"text":"' + fits + b'x"}'))
    assert refused.value.field == ("body.text" if kind == "text" else "body")


def test_body_may_fill_all_of_its_fields():
    """The limits of the fields and that of the body agree."""
    url, name, mime = "😀" * 2048, "😀" * 255, "😀" * 127
    number = 2**53 - 1
    image = {"url": url, "thumbnail_url": url, "name": name, "mime": mime, "width": 100_000}
    filled = {
        "image": image | {"height": 100_000, "size_bytes": number},
        "voice": {"url": url, "duration_ms": number, "mime": mime, "size_bytes": number},
        "file": {"url": url, "name": name, "mime": mime, "size_bytes": number},
    }
    for kind, value in filled.items():
        checked_body(kind, body(value))
        checked_body(kind, Raw(json.dumps(value, ensure_ascii=False).encode()))


@pytest.mark.parametrize("depth", [64, 500, 990, 996, 1000, 5000, 30_000])
def test_body_that_nests_too_deep_is_refused(depth):
    """What passes can be hashed: one sender's odd body must not fail a whole group commit (I8)."""
    raw = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(BadRequest):
        checked_body("custom", Raw(raw))


def test_body_may_nest_a_good_deal():
    raw = b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"
    checked_body("custom", Raw(raw))
    assert draft_with(raw).content_hash()


def test_brackets_in_a_text_do_not_nest():
    checked_body("custom", body({"text": "[" * 1000, "list": [[]] * 200}))


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_content_hash_ignores_order_of_fields_and_white_space(value):
    """I6: the same content, written another way, is the same send."""
    turned = dict(reversed(value.items()))
    tight = json.dumps(value, separators=(",", ":")).encode()
    loose = json.dumps(turned, indent=2, ensure_ascii=False).encode()
    assert draft_with(tight).content_hash() == draft_with(loose).content_hash()


@given(st.text(min_size=1))
def test_content_hash_of_a_text_is_what_earlier_versions_stored(text):
    """I6: a send that is repeated after an upgrade is the same send."""
    for ascii_only in (True, False):
        written = json.dumps({"text": text}, indent=1, ensure_ascii=ascii_only).encode()
        stored = b'text\0{"text": ' + json.dumps(text).encode() + b"}"
        assert draft_with(written, "text").content_hash() == blake2b(stored, digest_size=16).digest()


@pytest.mark.parametrize(
    "one, other", [(b'{"a":1}', b'{"a":2}'), (b'{"a":1}', b'{"a":"1"}'), (b'{"a":[1,2]}', b'{"a":[2,1]}')]
)
def test_content_hash_tells_contents_apart(one, other):
    assert draft_with(one).content_hash() != draft_with(other).content_hash()


@pytest.mark.parametrize("kind", ["image", "voice", "file"])
def test_null_in_a_media_body_is_the_same_as_absent(kind):
    absent, null = b'{"url":"u"}', b'{"mime":null,"url":"u","size_bytes":null}'
    assert draft_with(null, kind).content_hash() == draft_with(absent, kind).content_hash()
    assert draft_with(b'{"url":"v"}', kind).content_hash() != draft_with(absent, kind).content_hash()


def test_null_in_a_custom_body_is_the_applications_own():
    assert draft_with(b'{"a":null}', "custom").content_hash() != draft_with(b"{}", "custom").content_hash()


def test_content_hash_tells_kinds_apart():
    assert draft_with(b"{}", "custom").content_hash() != draft_with(b"{}", "system").content_hash()


def test_send_key_is_that_of_sender_and_client_message_id():
    def key(sender: str, name: str) -> bytes:
        return Draft("d:ann:bob", sender, name, "text", body({"text": "x"})).key()

    keys = {key("ann", "1"), key("ann", "2"), key("bob", "1"), key("an", "n1")}
    assert len(keys) == 4
    assert {len(made) for made in keys} == {16}


def test_message_carries_the_senders_body_untouched():
    raw = b'{ "b" : 1, "a" : "\\u00e9" }'
    message = Message("g:x:1", "g:x", 1, "ann", "c1", "custom", Raw(raw), "2026-01-01T00:00:00.000Z")
    assert raw in message.encode()


def test_answer_to_a_send_is_read_from_the_message():
    message = Message("g:x:1", "g:x", 1, "ann", "c1", "text", Raw(b"{}"), "2026-01-01T00:00:00.000Z")
    assert msgspec.to_builtins(sent_of(message.encode())) == {
        "message_id": "g:x:1",
        "conversation_id": "g:x",
        "seq": 1,
        "sent_at": "2026-01-01T00:00:00.000Z",
    }
