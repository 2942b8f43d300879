"""Signals of clients: who gets them, how often, and what is no signal."""

from __future__ import annotations

import pytest

from tests.api.people import Socket


def typing(conversation: str, signal: str = "typing", **fields):
    return {"type": "signal", "conversation_id": conversation, "signal": signal, **fields}


def settle(socket: Socket) -> None:
    """What the socket said before is done; nothing but heartbeats was answered."""
    socket.say(type="ping", ref="settled")
    assert socket.next("pong")["ref"] == "settled"


def test_signal_reaches_the_other_members_and_the_senders_other_devices_alone(ann, bob, cem, server):
    group = ann.group(bob)
    tablet = server.person(ann.user_id, "tablet")
    data = {"n": 1.5, "t": "é"}
    with ann.socket() as own, tablet.socket() as other, bob.socket() as bobs, cem.socket() as stranger:
        own.say(**typing(group, data=data))
        expected = {**typing(group, data=data), "user_id": ann.user_id}
        assert bobs.next("signal") == expected
        assert other.next("signal") == expected
        settle(own)
        settle(stranger)


def test_signal_of_a_direct_conversation_has_no_data_if_none_was_given(ann, bob):
    direct = ann.direct(bob)
    with ann.socket() as anns, bob.socket() as bobs:
        bobs.say(**typing(direct, data=None))
        assert anns.next("signal") == {**typing(direct), "user_id": bob.user_id}
        anns.say(**typing(direct, "x" * 32))
        assert bobs.next("signal")["signal"] == "x" * 32


def test_signal_in_notes_reaches_ones_other_devices(ann, server):
    notes = ann.direct(ann)
    tablet = server.person(ann.user_id, "tablet")
    with ann.socket() as own, tablet.socket() as other:
        own.say(**typing(notes))
        assert other.next("signal")["conversation_id"] == notes
        settle(own)


def test_signal_stores_nothing(ann, bob):
    group = ann.group(bob)
    before = bob.get("/v1/sync")["head"]
    with ann.socket() as anns, bob.socket() as bobs:
        anns.say(**typing(group))
        bobs.next("signal")
    assert bob.get("/v1/sync")["head"] == before
    assert ann.get(f"/v1/conversations/{group}/messages")["messages"] == []


MALFORMED = {
    "no signal": {"signal": None},
    "empty": {"signal": ""},
    "too long": {"signal": "x" * 33},
    "a number": {"signal": 1},
    "no conversation": {"conversation_id": "what"},
    "conversation null": {"conversation_id": None},
    "data is a list": {"data": []},
    "data is a text": {"data": "x"},
    "unknown field": {"what": 1},
    "a ref": {"ref": 1},
    "half a character": {"data": {"t": "\ud83d"}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_signal_is_an_error_and_the_socket_stays(ann, bob, name):
    direct = ann.direct(bob)
    with ann.socket() as anns, bob.socket() as bobs:
        anns.say(**(typing(direct) | MALFORMED[name]))
        frame = anns.next("error")
        assert "ref" not in frame
        assert frame["error"]["code"] == "bad_request"
        assert frame["error"]["retriable"] is False
        anns.say(**typing(direct, "right"))
        assert bobs.next("signal")["signal"] == "right"
        settle(anns)


@pytest.mark.parametrize(
    "frame",
    ['{"type":"signal","data":%s}' % ("[" * 5_000), '{"type": "watch", "user_ids": ["a",]}'],
    ids=["too deep", "no JSON"],
)
def test_signal_and_watch_that_cannot_be_read_are_an_error_and_the_socket_stays(ann, bob, frame):
    with ann.socket() as anns:
        anns.connection.send(frame)
        assert anns.next("error")["error"]["code"] == "bad_request"
        settle(anns)


def test_signal_without_a_field_or_with_one_twice_is_an_error_and_the_socket_stays(ann, bob):
    direct = ann.direct(bob)
    with ann.socket() as anns:
        anns.say(type="signal", conversation_id=direct)
        assert anns.next("error")["error"]["field"] == "signal"
        anns.connection.send(f'{{"type":"signal","signal":"a","signal":"b","conversation_id":"{direct}"}}')
        assert anns.next("error")["error"]["field"] == "signal"
        settle(anns)


def test_data_beyond_its_bound_is_an_error_and_the_socket_stays(ann, bob):
    direct = ann.direct(bob)
    fits = 512 - len('{"t":""}')
    with ann.socket() as anns, bob.socket() as bobs:
        anns.say(**typing(direct, data={"t": "x" * (fits + 1)}))
        error = anns.next("error")["error"]
        assert (error["code"], error["field"]) == ("too_large", "data")
        anns.say(**typing(direct, data={"t": "x" * fits}))
        assert len(bobs.next("signal")["data"]["t"]) == fits


def test_who_is_no_member_is_told_so_and_reaches_nobody(ann, bob, cem):
    group = bob.group(cem)
    theirs = bob.direct(cem)
    with ann.socket() as anns, bob.socket() as bobs, cem.socket() as cems:
        for conversation in (group, theirs):
            anns.say(**typing(conversation))
            error = anns.next("error")["error"]
            assert (error["code"], error["field"]) == ("forbidden", "conversation_id")
        anns.say(**typing("g:aaaaaaaaaaaaaaaa"))
        error = anns.next("error")["error"]
        assert (error["code"], error["field"]) == ("not_found", "conversation_id")
        settle(anns)
        cems.say(**typing(group, "ours"))
        assert bobs.next("signal")["signal"] == "ours"


def test_who_was_removed_signals_no_more_and_hears_no_more(ann, bob, cem):
    group = ann.group(bob, cem)
    with ann.socket() as anns, bob.socket() as bobs, cem.socket() as cems:
        bobs.say(**typing(group, "member"))
        assert [one.next("signal")["signal"] for one in (anns, cems)] == ["member", "member"]
        ann.ask("DELETE", f"/v1/conversations/{group}/members/{bob.user_id}").raise_for_status()
        cems.say(**typing(group, "without"))
        assert anns.next("signal")["signal"] == "without"
        settle(bobs)
        ann.ask("PUT", f"/v1/conversations/{group}/members/{bob.user_id}").raise_for_status()
        anns.say(**typing(group, "again"))
        assert [one.next("signal")["signal"] for one in (bobs, cems)] == ["again", "again"]


@pytest.mark.parametrize("members", [100, 101])
def test_signal_in_a_large_group_is_dropped_without_a_word(person, members):
    ann, bob, *others = (person() for _ in range(members))
    large, small = ann.group(bob, *others), ann.group(bob)
    with ann.socket() as anns, bob.socket() as bobs:
        anns.say(**typing(large, "large"))
        anns.say(**typing(small, "small"))
        settle(anns)
        heard = ["large", "small"] if members == 100 else ["small"]
        assert [bobs.next("signal")["signal"] for _ in heard] == heard
