"""What a server says is shown as one line, and steers no terminal."""

from __future__ import annotations

import httpx
import pytest

from ringpost import output
from ringpost.http import ApiError, is_garbage, read_answer, read_refusal
from ringpost.output import harmless, json_line

HERE = "http://127.0.0.1:8080"
STEERING = "a\x1b]0;t\x07\x7f\x9b31m\u202eb\u2066"


def test_refusal_is_one_line():
    error = {"code": "a\nb", "message": "x\r\ny", "retriable": False, "field": "f\n"}
    assert read_refusal(HERE, httpx.Response(400, json={"error": error})) == ("a b: f: x y", False)


def test_what_steers_a_terminal_does_not_reach_it(capsys):
    assert harmless(STEERING) == "a\ufffd]0;t\ufffd\ufffd\ufffd31m\ufffdb\ufffd"
    assert harmless("héllo\n你好\t") == "héllo\n你好\t"
    output.show(None, False, STEERING)
    output.show({"text": STEERING}, True, "")
    assert json_line(STEERING) == '"a\\u001b]0;t\\u0007\\u007f\\u009b31m\\u202eb\\u2066"'
    output.complain(STEERING)
    output.remark(STEERING)
    said = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u2066"} & set(said.out + said.err)


@pytest.mark.parametrize("answer", [{}, {"entries": 3, "head": 1}, {"entries": []}, [], "x", None])
def test_answer_without_what_is_needed_is_none_of_ringpost(answer):
    with pytest.raises(ApiError, match="answers, but not as Ringpost does"):
        read_answer(HERE, httpx.Response(200, json=answer), {"entries": list, "head": int})


def test_end_of_a_connection_is_no_garbage():
    assert is_garbage(httpx.RemoteProtocolError("illegal status line: bytearray(b'garbage')"))
    assert not is_garbage(httpx.RemoteProtocolError("Server disconnected without sending a response."))
    assert not is_garbage(httpx.ConnectError("refused"))
