"""What a client sent is stored and handed out as it was sent, byte for byte, over HTTP and socket alike."""

from __future__ import annotations

import pytest

NUMBERS = "[1.10, 1e5, -0, -0.0, 12345678901234567890, 0.1000, 3.0, 1E+2, 1e300]"
BODY = f'{{ "n" : {NUMBERS}, "t":"\\u00e9 \\/ 1.10", "z":{{"b":1.50,"a":null}} }}'
IMAGE = '{"url":"u" , "width":3.0,"size_bytes":1e3, "name":null}'


def send(ann, bob, how: str, kind: str, body: str) -> None:
    fields = f'"client_message_id":"{how}","kind":"{kind}","to":"{bob.user_id}"'
    if how == "http":
        answer = ann.ask("POST", "/v1/messages", content=f'{{"body":{body},{fields}}}')
        assert answer.status_code == 201, answer.text
        return
    with ann.socket() as socket:
        socket.connection.send(f'{{"type":"send","ref":{how},{fields},"body":{body}}}')
        assert socket.answer("sent")["ref"] == 1


@pytest.mark.parametrize("kind, body", [("custom", BODY), ("image", IMAGE)], ids=["custom", "image"])
@pytest.mark.parametrize("how", ["http", "1", "1.0", "1e0"])
def test_body_arrives_as_it_was_sent(person, how, kind, body):
    ann, bob = person(), person()
    conversation = ann.direct(bob)
    with bob.socket(cursor=0) as device:
        send(ann, bob, how, kind, body)
        frame = device.connection.recv(timeout=20)
        while "entries" not in frame:
            frame = device.connection.recv(timeout=20)
    pulled = bob.ask("GET", "/v1/sync").text
    history = bob.ask("GET", f"/v1/conversations/{conversation}/messages").text
    row = bob.ask("GET", "/v1/conversations").text
    for seen in (frame, pulled, history, row):
        assert f'"body":{body}' in seen
