"""The `ref` of a send that the server does not understand is found by the rule for one that it does."""

from __future__ import annotations

import msgspec
import pytest

from api.gateway.frames import ClientFrame, error_frame, ref_of_send
from api.strict import read_json
from domain.errors import BadRequest, Overloaded
from domain.limits import REF_CHARACTERS

LONGEST = f'"{"r" * REF_CHARACTERS}"'
FINE = '"conversation_id":"d:ann:bob","client_message_id":"c","kind":"text","body":{"text":"hi"}'
HALF = FINE.replace("hi", "hi \\ud83d")


def send(ref: str, rest: str) -> str:
    return f'{{"type":"send","ref":{ref},{rest}}}'


@pytest.mark.parametrize("rest", ['"what":1', HALF, '"body":' + "9" * 4_400], ids=["field", "half", "digits"])
@pytest.mark.parametrize(
    "ref, found", [("1", 1), ("1.0", 1), ("-3", -3), ("0", 0), ('"a"', "a"), ('""', ""), (LONGEST, None)]
)
def test_what_names_a_good_send_names_a_bad_one(ref, found, rest):
    found = LONGEST.strip('"') if ref is LONGEST else found
    assert read_json(send(ref, FINE), ClientFrame).ref == found
    with pytest.raises(BadRequest):
        read_json(send(ref, rest.replace('"body"', '"what"')), ClientFrame)
    assert ref_of_send(send(ref, rest)) == found


@pytest.mark.parametrize("rest", ['"what":1', HALF], ids=["field", "half"])
@pytest.mark.parametrize(
    "ref", ["true", "1.5", "null", "[]", "{}", '"\\ud83d"', '"r' + LONGEST[1:], "1e400", "[" * 5_000]
)
def test_what_names_no_good_send_names_no_bad_one(ref, rest):
    with pytest.raises(BadRequest):
        read_json(send(ref, FINE), ClientFrame)
    assert ref_of_send(send(ref, rest)) is None


@pytest.mark.parametrize("text", ["", "[]", "null", '{"type":"ping","ref":1}', '{"ref":1}', '["\\ud83d"]'])
def test_what_is_no_send_has_no_ref(text):
    assert ref_of_send(text) is None


def test_digits_without_end_are_left_to_the_check_of_the_body():
    content = send("1", FINE.replace('{"text":"hi"}', '{"n":%s}' % ("9" * 4_400)))
    assert len(msgspec.json.encode(read_json(content, ClientFrame).body)) > 4_400


def test_refusal_for_overload_says_when_to_come_again():
    said = msgspec.json.decode(error_frame(Overloaded("Too much waits.", retry_after_s=7), "r1"))
    assert (said["ref"], said["retry_after_s"], said["error"]["code"]) == ("r1", 7, "overloaded")
    assert "retry_after_s" not in msgspec.json.decode(error_frame(BadRequest("What?")))
