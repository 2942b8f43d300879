"""No error of the API speaks the language of a library, whatever is sent to whichever route."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, inspect

from api.gateway.frames import ClientFrame
from api.routes.accounts import Accounts
from api.routes.conversations import Conversations
from api.routes.inbox import Inbox
from api.routes.messages import Messages
from api.routes.own import Own
from api.routes.revisions import Revisions
from api.strict import read_json, read_query
from domain.errors import BadRequest, TooLarge
from domain.messages import BODY_DECODERS, checked_body

ROUTES = [
    route
    for noun in (Accounts, Conversations, Own, Messages, Revisions, Inbox)
    for route in object.__new__(noun).routes()
]
BODIES = {route.name: route.body_type for route in ROUTES if route.body_type} | {"frame": ClientFrame}
TEXTS = {
    f"{route.name} {part.__name__}": part
    for route in ROUTES
    for part in (route.path_type, route.query_type)
    if part
}
FOREIGN = re.compile(
    r"`|Expected|Object |regex|\bint\b|\bstr\b|float|array|length|enum|None|\(\?|\^\[|DecodeError"
)
SECRET = "hunter2-hunter2"
own = st.text(alphabet="abcdxé好 \n./:", max_size=6)
"""What clients write themselves, which an error may repeat."""

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [0, -1, 2**53, 10**400, 1.5, 3.0, "", ".", "a b", "x" * 70, "x" * 2000, "d:a:b", "g:x", "\n", "é"]
    )
    | own,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(own, inner, max_size=3),
    max_leaves=5,
)


def names(kind: Any) -> list[str]:
    """All names of fields, the tags included."""
    found = inspect.type_info(kind)
    kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
    structs = [one for one in kinds if isinstance(one, inspect.StructType)]
    tags = [str(one.tag_field) for one in structs if one.tag_field]
    return [*tags, *(field.encode_name for one in structs for field in one.fields)]


def right(kind: Any) -> dict[str, Any]:
    """Good values for the fields, so that a wrong one is reached behind them."""
    good = {
        "type": "send",
        "ref": 1,
        "kind": "text",
        "client_message_id": "m",
        "body": {"text": "a"},
        "to": "ann",
        "with": "ann",
        "members": [],
        "user_id": "ann",
        "device_id": "phone",
        "title": "t",
        "cursor": 1,
        "url": "u",
        "text": "t",
    }
    return {name: good[name] for name in names(kind) if name in good}


def sent(kind: Any) -> st.SearchStrategy[Any]:
    """An object that is right but for some fields, or anything else."""
    fields = st.dictionaries(st.sampled_from([*names(kind), "more", SECRET[:3]]) | own, values, max_size=3)
    tags = st.sampled_from(["direct", "group", "hello", "send", "ack", "ping"])
    tagged = (
        st.builds(lambda tag: {"type": tag, "kind": tag}, tags) if kind in BODIES.values() else st.just({})
    )
    return (
        st.builds(
            lambda tag, some: right(kind) | {n: v for n, v in tag.items() if n in names(kind)} | some,
            tagged | st.just({}),
            fields,
        )
        | values
    )


def check(error: BadRequest | TooLarge) -> None:
    assert not FOREIGN.search(error.message.replace("characters A-Z a-z 0-9 _ . @ -", "")), error.message
    assert error.message.endswith(".")
    assert len(error.message) < 600
    assert len(error.field or "") < 200


def checked(read: Any, *arguments: Any) -> None:
    try:
        read(*arguments)
    except (BadRequest, TooLarge) as error:
        check(error)


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
def test_no_body_and_no_frame_gets_an_error_in_the_words_of_a_library(name, data):
    checked(read_json, json.dumps(data.draw(sent(BODIES[name]))), BODIES[name])


@pytest.mark.parametrize("kind", BODY_DECODERS)
@given(data=st.data())
def test_no_message_gets_an_error_in_the_words_of_a_library(kind, data):
    fields = data.draw(sent(BODY_DECODERS[kind].type))
    checked(checked_body, kind, Raw(json.dumps(fields).encode()))


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_no_path_and_no_query_gets_an_error_in_the_words_of_a_library(name, data):
    kind = TEXTS[name]
    some = (
        st.sampled_from(
            ["", "0", "-1", "1.5", "1e9", "many", "null", "nan", "a b", "..", "9" * 30, "x" * 300]
        )
        | own
    )
    pairs = data.draw(st.lists(st.tuples(st.sampled_from([*names(kind), "more"]) | own, some), max_size=3))
    checked(read_query, pairs, kind)


RAW = [
    b"",
    b"{",
    b"nul",
    b'{"a":1,"a":2}',
    b"\xff",
    b'"\\ud800"',
    b"NaN",
    b"1e999",
    b"[" * 5000,
    b"{}{}",
    b'{"cursor":1' + b"0" * 5000 + b"}",
]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("raw", RAW, ids=lambda raw: repr(raw[:12]))
def test_no_bytes_get_an_error_in_the_words_of_a_library(name, raw):
    checked(read_json, raw, BODIES[name])


@pytest.mark.parametrize("kind", BODY_DECODERS)
@pytest.mark.parametrize("raw", RAW, ids=lambda raw: repr(raw[:12]))
def test_no_bytes_of_a_message_get_an_error_in_the_words_of_a_library(kind, raw):
    checked(checked_body, kind, Raw(raw))


def test_token_that_was_given_is_not_told():
    for value in ([SECRET], {"a": SECRET}, 5):
        with pytest.raises(BadRequest) as refused:
            read_json(json.dumps({"type": "hello", "token": value}), ClientFrame)
        assert SECRET not in refused.value.message
        check(refused.value)
