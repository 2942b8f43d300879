"""The data of a signal: an object, of a bounded size, as it came."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from domain.errors import BadRequest, TooLarge
from domain.messages import MOST_LEVELS
from domain.signals import DATA_BYTES, NO_DATA, WRITTEN_BYTES, checked_data

FITS = DATA_BYTES - len('{"t":""}')


def checked(text: str) -> bytes | None:
    data = checked_data(Raw(text.encode()))
    return None if data is None else bytes(data)


@pytest.mark.parametrize(
    "text",
    ["{}", '{"n":1.10}', '{ "a" : [1, null, {"b": "\\u00e9"}] }', '{"n":3.0,"m":12345678901234567890}'],
)
def test_object_comes_out_as_it_came(text):
    assert checked(text) == text.encode()


def test_null_is_no_data():
    assert checked("null") is None
    assert checked_data(NO_DATA) is None


def test_limit_counts_the_text_and_not_its_escapes():
    assert checked(json.dumps({"t": "x" * FITS}, separators=(",", ":")))
    assert checked(json.dumps({"t": "é" * (FITS // 2)}))
    for text in ("x" * (FITS + 1), "é" * (FITS // 2 + 1)):
        with pytest.raises(TooLarge) as refused:
            checked(json.dumps({"t": text}))
        assert refused.value.field == "data"
    with pytest.raises(TooLarge):
        checked("{}".ljust(WRITTEN_BYTES + 1))


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "true", '{"n":' + "9" * 400 + "}"])
def test_what_is_no_object_or_no_number_is_refused(text):
    with pytest.raises(BadRequest) as refused:
        checked(text)
    assert refused.value.field == "data"


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 1_500])
def test_object_that_nests_too_deep_is_refused(levels):
    with pytest.raises(BadRequest) as refused:
        checked('{"a":' + "[" * levels + "]" * levels + "}")
    assert refused.value.field == "data"
