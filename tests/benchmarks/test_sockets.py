"""What the devices of the generator understand, in whatever pieces it arrives."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

import pytest

from benchmarks.book import FIRST_REF, Book
from benchmarks.sockets import CLOSE, Device, Server, Sockets, client_frame
from tests.patience import PATIENCE_S

OPENED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
TEXT = 300 * "x"


def server_frame(payload, opcode=0x81):
    """The form of a server: not masked."""
    masked = client_frame(payload, opcode)
    head = masked[: len(masked) - len(payload) - 4]
    return bytes((head[0], head[1] & 0x7F)) + head[2:] + payload


def text(**fields):
    return server_frame(json.dumps(fields, separators=(",", ":")).encode())


def entry(seq, ref, tag="run.1"):
    message = {
        "message_id": f"c:{ref}",
        "seq": 9,
        "client_message_id": f"{tag}.{ref}",
        "body": {"text": TEXT},
    }
    return {"seq": seq, "type": "message", "message": message}


class Ringing:
    """A device, and the server's end of its connection in the hands of a test."""

    def __init__(self, listening):
        self.sockets, self.book = Sockets(), Book("run.1", [2])
        self.device = Device(self.sockets, 1, "token")
        self.device.head = 4
        self._listening = listening
        self.connect()

    def connect(self):
        self.device.connect(Server(*self._listening.getsockname(), "key"), self.book)
        self.end, _ = self._listening.accept()
        self.end.settimeout(PATIENCE_S)
        self.got = b""

    def until(self, true):
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            self.sockets.turn(0.01)
            with suppress(BlockingIOError):
                self.end.setblocking(False)
                self.got += self.end.recv(65_536)

    def say(self, data):
        self.end.setblocking(True)
        self.end.sendall(data)

    def open(self):
        self.until(lambda: b"\r\n\r\n" in self.got)
        self.say(OPENED)
        self.until(lambda: b'"hello"' in self.got)
        self.say(text(type="welcome", head=4))
        self.until(lambda: self.device.ready)


@pytest.fixture
def ringing():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Ringing(listening)
        yield made
        made.device.close()
        made.end.close()
        made.sockets.close()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frame_of_a_client_has_the_right_length_and_a_mask_that_changes_nothing(size):
    frame = client_frame(bytes(size))
    long = {126: 2, 127: 8}.get(frame[1] & 0x7F, 0)
    length = int.from_bytes(frame[2 : 2 + long], "big") if long else frame[1] & 0x7F
    assert (frame[0], frame[1] & 0x80, length) == (0x81, 0x80, size)
    assert frame[2 + long :] == bytes(4 + size)


def test_device_says_hello_after_the_opening_and_is_ready_when_welcomed(ringing):
    ringing.until(lambda: b"\r\n\r\n" in ringing.got)
    assert ringing.got.startswith(b"GET /v1/connect HTTP/1.1\r\n")
    assert b"Authorization: Bearer token\r\n" in ringing.got
    ringing.say(OPENED[:20])
    ringing.sockets.turn(0.05)
    ringing.say(OPENED[20:])
    ringing.until(lambda: ringing.got.endswith(b'{"type":"hello","cursor":4}'))
    assert not ringing.device.ready
    ringing.say(text(type="welcome", head=4))
    ringing.until(lambda: ringing.device.ready)


@pytest.mark.parametrize("piece", [1, 7, 1_000_000])
def test_frames_are_understood_in_pieces_of_any_size(ringing, piece):
    ringing.open()
    refs = [ringing.book.begin(0, 0, 1.0) for _ in range(4)]
    ringing.device.goal = 8
    stream = text(type="sent", ref=refs[0], message_id="c:1", seq=9)
    stream += text(type="entries", entries=[entry(5, refs[0])])
    stream += server_frame(b"are you there", 0x89)
    stream += text(
        type="entries", entries=[entry(6, refs[1]), entry(7, refs[2], "other.1"), entry(8, refs[3])]
    )
    stream += text(type="heartbeat", head=8)
    stream += text(error={"code": "overloaded", "retry_after_s": 2}, ref=refs[3], type="error")
    for at in range(0, len(stream), piece):
        ringing.say(stream[at : at + piece])
        ringing.sockets.turn(0.01)
    ringing.until(lambda: ringing.book.errors)
    assert list(ringing.book.arrivals) == [1, 1, 0, 1]
    assert ringing.book.done == [0, 3]
    assert (ringing.book.errors, ringing.book.refused_with_wait.total()) == ({"overloaded": 1}, 1)
    assert (ringing.device.head, ringing.book.out_of_order, len(ringing.sockets.at_goal)) == (8, 0, 1)
    ringing.until(lambda: client_frame(b"are you there", 0x8A) in ringing.got)


def test_hole_and_step_back_of_a_socket_are_out_of_order(ringing):
    ringing.open()
    for seq in (5, 7, 6):
        ringing.say(text(type="entries", entries=[entry(seq, FIRST_REF, "other")]))
    ringing.until(lambda: ringing.book.out_of_order == 2)
    assert ringing.device.head == 7


def test_answer_with_fields_in_another_order_is_understood(ringing):
    ringing.open()
    ref = ringing.book.begin(0, 0, 1.0)
    ringing.say(text(seq=9, ref=ref, type="sent"))
    ringing.until(lambda: ringing.book.done == [ref - FIRST_REF])


def test_what_the_socket_does_not_take_at_once_follows(ringing):
    ringing.open()
    ringing.got = b""
    frames = [client_frame(bytes([number]) * 200_000) for number in range(60)]
    for frame in frames:
        ringing.device.send(frame)
    ringing.until(lambda: len(ringing.got) >= len(b"".join(frames)))
    assert ringing.got == b"".join(frames)


@pytest.mark.parametrize(("said", "code"), [((4001).to_bytes(2, "big") + b"slow", 4001), (b"", 1005)])
def test_device_that_was_closed_says_with_which_code_and_its_sends_fail(ringing, said, code):
    ringing.open()
    ringing.book.begin(0, ringing.device.user, 1.0)
    ringing.say(server_frame(said, CLOSE))
    ringing.until(lambda: ringing.sockets.lost == [ringing.device])
    assert (ringing.device.close_code, ringing.device.ready) == (code, False)
    assert ringing.book.errors == {"no answer": 1}


def test_device_connects_again_after_its_newest_entry(ringing):
    ringing.open()
    ringing.say(text(type="entries", entries=[entry(5, FIRST_REF, "other")]))
    ringing.until(lambda: ringing.device.head == 5)
    ringing.end.shutdown(socket.SHUT_RDWR)
    ringing.until(lambda: ringing.device.close_code == 1006)
    ringing.end.close()
    ringing.connect()
    ringing.open()
    assert ringing.got.endswith(b'{"type":"hello","cursor":5}')


def test_server_that_opens_no_socket_is_named_by_its_status(ringing):
    ringing.say(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")
    ringing.until(lambda: ringing.sockets.lost)
    assert ringing.book.errors == {"no WebSocket: status 503": 1}
