"""Each thing that msgspec can say, in a person's words."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Raw, Struct

from domain.errors import BadRequest
from domain.ids import ID_PATTERN
from domain.messages import checked_body
from domain.mismatch import mismatch

Id = Annotated[str, Meta(pattern=ID_PATTERN)]


class Inner(Struct, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=5, description="Of the inner one.")] | None = None
    flag: bool = False


class Thing(Struct, forbid_unknown_fields=True, tag_field="type", tag="thing"):
    kind: Literal["text", "image", "voice"] = "text"
    limit: Annotated[int, Meta(ge=1, le=200, description="The most items.")] = 1
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 0
    least: Annotated[int, Meta(ge=3)] = 3
    ref: Annotated[str, Meta(max_length=4)] | int | None = None
    members: Annotated[list[Id], Meta(max_length=2)] = []
    inner: Inner = msgspec.field(default_factory=Inner)
    token: str | None = None
    data: dict[str, Any] = {}


class Box(Struct, forbid_unknown_fields=True):
    text: str = ""


class Other(Struct, forbid_unknown_fields=True, tag_field="type", tag="other"):
    user_id: Id
    box: Box = msgspec.field(default_factory=Box)


FIELDS = "type, kind, limit, wait_s, least, ref, members, inner, token and data"
AN_ID = "an id of 1 to 64 of the characters A-Z a-z 0-9 _ . @ - and neither . nor .. alone"
SAID: list[tuple[dict[str, Any], str | None, str]] = [
    ({"kind": "smoke"}, "kind", 'kind may be image, text or voice, not "smoke".'),
    ({"kind": 5}, "kind", "kind may be image, text or voice, not 5."),
    ({"limit": 0}, "limit", "limit must be a whole number from 1 to 200, not 0."),
    ({"limit": 201}, "limit", "limit must be a whole number from 1 to 200, not 201."),
    ({"limit": "9"}, "limit", 'limit must be a whole number from 1 to 200, not "9".'),
    ({"limit": None}, "limit", "limit must be a whole number from 1 to 200, not null."),
    ({"limit": True}, "limit", "limit must be a whole number from 1 to 200, not true."),
    ({"limit": 1.5}, "limit", "limit must be a whole number from 1 to 200, not 1.5."),
    ({"limit": 10**100}, "limit", "limit must be a whole number from 1 to 200, not a number of 101 digits."),
    ({"wait_s": 61}, "wait_s", "wait_s must be a number from 0 to 60, not 61."),
    ({"wait_s": []}, "wait_s", "wait_s must be a number from 0 to 60, not a list of 0 items."),
    ({"least": 2}, "least", "least must be a whole number of at least 3, not 2."),
    (
        {"ref": [1]},
        "ref",
        "ref must be a text of up to 4 characters or a whole number, not a list of 1 item.",
    ),
    (
        {"ref": "x" * 99},
        "ref",
        "ref must be a text of up to 4 characters or a whole number, not a text of 99 characters.",
    ),
    ({"members": {}}, "members", "members must be a list of up to 2 items, not an object."),
    (
        {"members": ["a", "b", "c"]},
        "members",
        "members must be a list of up to 2 items, not a list of 3 items.",
    ),
    (
        {"members": ["a", ".."]},
        "members[1]",
        f'members[1] must be {AN_ID}, not "..".',
    ),
    (
        {"inner": {"title": ""}},
        "inner.title",
        "inner.title must be a text of 1 to 5 characters, not an empty text.",
    ),
    ({"inner": {"flag": 1}}, "inner.flag", "inner.flag must be true or false, not 1."),
    ({"inner": 3}, "inner", "inner must be an object with the fields title and flag, not 3."),
    ({"inner": {"more": 1}}, "inner.more", "There is no field more. There are title and flag."),
    ({"type": "other", "user_id": "a", "box": {"x": 1}}, "box.x", "There is no field x. There is only text."),
    ({"extra": 1}, "extra", f"There is no field extra. There are {FIELDS}."),
    ({"token": 55}, "token", "token must be a text."),
    ({"data": []}, "data", "data must be an object, not a list of 0 items."),
    ({"type": "what"}, "type", 'type may be thing or other, not "what".'),
    ({"type": 1}, "type", "type may be thing or other, not 1."),
    (
        {"type": "other"},
        "user_id",
        f"user_id is missing. It must be {AN_ID}.",
    ),
]


def refusal(kind: Any, given: Any) -> BadRequest:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(json.dumps(given), type=kind)
    return mismatch(refused.value, kind, given)


@pytest.mark.parametrize("given, field, sentence", SAID, ids=lambda value: str(value)[:40])
def test_sentence_names_the_field_what_it_may_be_and_what_was_given(given, field, sentence):
    error = refusal(Thing | Other, {"type": "thing"} | given)
    assert (error.message, error.field) == (sentence, field)


def test_input_that_has_no_tag_is_told_the_tags():
    error = refusal(Thing | Other, {})
    assert (error.message, error.field) == ("type is missing. It must be thing or other.", "type")


@pytest.mark.parametrize(
    "given, shown", [([1, 2], "a list of 2 items"), (5, "5"), (None, "null"), ("a", '"a"')]
)
def test_input_that_is_no_object_is_told_so(given, shown):
    error = refusal(Thing | Other, given)
    assert error.message == f"The request must be an object whose type is thing or other, not {shown}."
    assert error.field is None


def test_body_is_named_with_its_fields():
    with pytest.raises(BadRequest) as refused:
        checked_body("text", Raw(b'{"text":""}'))
    assert refused.value.message == "body.text must be a text of at least 1 character, not an empty text."
    with pytest.raises(BadRequest) as refused:
        checked_body("custom", Raw(b'{"a":[1e999]}'))
    assert (refused.value.message, refused.value.field) == (
        "body holds a number that is out of range.",
        "body",
    )


def test_secrets_and_megabytes_are_not_told():
    assert "hunter2" not in refusal(Thing, {"type": "thing", "token": ["hunter2"]}).message
    for given in (
        {"x" * 1_000_000: 1},
        {"kind": "x" * 1_000_000},
        {"ref": "x" * 1_000_000},
        {"limit": 10**4000},
    ):
        error = refusal(Thing, {"type": "thing"} | given)
        assert len(error.message) < 300
        assert len(error.field or "") <= 64
