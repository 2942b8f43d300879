"""The opening of a WebSocket: what the protocol cannot take is answered as HTTP, before it takes over."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from websockets.http11 import MAX_LINE_LENGTH

from domain.errors import BadRequest, HeadTooLarge

Headers = Iterable[tuple[bytes, bytes]]

VERSION = b"13"
KEY_BYTES = 16


def check_handshake(url: bytes, headers: Headers) -> None:
    """Raises HeadTooLarge for a line beyond those of the protocol, BadRequest for a body or a bad key."""
    lines = [b"GET %b HTTP/1.1\r\n" % url, *(b"%b: %b\r\n" % header for header in headers)]
    if max(map(len, lines)) > MAX_LINE_LENGTH:
        raise HeadTooLarge(f"A line of the opening of a WebSocket may have {MAX_LINE_LENGTH} bytes.")
    if not url.isascii():
        raise BadRequest("The path and query of a request are ASCII.")
    if values(headers, b"transfer-encoding") or set(values(headers, b"content-length")) - {b"0"}:
        raise BadRequest("The opening of a WebSocket has no body.")
    if not _is_key(values(headers, b"sec-websocket-key")):
        raise BadRequest("Sec-WebSocket-Key must be given once: 16 bytes in base64.")


def speaks_our_version(headers: Headers) -> bool:
    return values(headers, b"sec-websocket-version") == [VERSION]


def values(headers: Headers, name: bytes) -> list[bytes]:
    """What each line of this header says."""
    return [value.strip() for header, value in headers if header == name]


def _is_key(given: list[bytes]) -> bool:
    try:
        return [len(base64.b64decode(key, validate=True)) for key in given] == [KEY_BYTES]
    except binascii.Error:
        return False
