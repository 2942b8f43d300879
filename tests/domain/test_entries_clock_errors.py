from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import now_ms, rfc3339
from domain.entries import Entry, conversation_of, encode_entries, encode_entry, is_message
from domain.errors import Overloaded, RingpostError, Unavailable, every_error
from domain.ids import ConversationId, UserId
from domain.registers import Recall, Registers, shown
from tests.builders import ANN_BOB, GROUP, stored


def test_entry_is_its_number_around_the_message_bytes():
    assert encode_entry(Entry(5, b'{"a":1}')) == b'{"seq":5,"type":"message","message":{"a":1}}'


def test_entries_are_a_json_array():
    assert encode_entries([]) == b"[]"
    decoded = json.loads(encode_entries([Entry(1, b"{}"), Entry(2, b"{}")]))
    assert [entry["seq"] for entry in decoded] == [1, 2]


def test_entry_of_another_type_is_no_message_and_names_no_conversation():
    edit = b'{"type":"edit","edit":{"message_id":"g:a:1"}}'
    assert not is_message(edit)
    assert conversation_of(edit) == b""


@pytest.mark.parametrize("conversation", [ANN_BOB, GROUP, "d:a.b@c:x-y_z"])
def test_message_names_its_conversation(conversation):
    message = stored(ConversationId(conversation), 17).message
    assert is_message(message)
    assert conversation_of(message) == conversation.encode()
    recalled = Registers(recall=Recall(20, UserId("bob"), "2026-01-02T03:04:05.678Z"))
    assert conversation_of(shown(message, recalled)) == conversation.encode()


def test_what_names_no_message_names_no_conversation():
    assert conversation_of(b'{"n":1}') == b""


@given(st.integers(0, 253_402_300_799_999))  # to the end of the year 9999
def test_time_is_rfc3339_in_utc_with_milliseconds(at_ms):
    text = rfc3339(at_ms)
    assert len(text) == len("2023-11-14T22:13:20.123Z")
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(at_ms // 1000, UTC).replace(
        microsecond=at_ms % 1000 * 1000
    )


def test_times_sort_as_their_texts():
    assert rfc3339(1_700_000_000_099) < rfc3339(1_700_000_000_100) < rfc3339(now_ms())


@pytest.mark.parametrize("error", every_error())
def test_error_carries_code_message_and_field(error):
    raised = error("A sentence.", "field")
    assert (raised.message, raised.field, str(raised)) == ("A sentence.", "field", "A sentence.")
    assert raised.code.replace("_", "").islower()


def test_codes_are_unique_but_for_the_root():
    codes = [error.code for error in every_error() if error is not RingpostError]
    assert len(codes) == len(set(codes))


def test_retriable_are_exactly_the_faults_that_pass():
    retriable = {error.code for error in every_error() if error.retriable}
    assert retriable == {"rate_limited", "unavailable", "overloaded"}


def test_overloaded_is_a_kind_of_unavailable():
    assert issubclass(Overloaded, Unavailable)


def test_tree_in_the_text_names_every_error():
    import domain.errors

    assert all(error.__name__ in domain.errors.__doc__ for error in every_error())
