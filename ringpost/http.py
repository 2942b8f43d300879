"""Calls of the command line to a running API."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from infra.retry import backoff_s

TIMEOUT_S = 15.0
TRIES = 5
AWAY = (502, 503, 504)
Needs = Mapping[str, type]
"""The fields that an answer of Ringpost has, with the type of each."""
NOTHING: Needs = {}
GARBAGE = "answers, but not as Ringpost does"
NO_TEXT = "What was given holds bytes that are no text in UTF-8."
ASK = "Is the address right (--url, or RINGPOST_URL), and is Ringpost running there?"


class ApiError(Exception):
    """The API refused, or does not answer. The message is a sentence."""


class AddressError(ApiError):
    """The given address of the API cannot be one."""


def checked_url(text: str) -> str:
    """The address of an API without a slash at its end. AddressError in one sentence if it is none."""
    example = "the address of an API looks like http://127.0.0.1:8080 (--url, or RINGPOST_URL)"
    if "@" in text:
        raise AddressError(f"Leave user and password out of the URL: {example}.")
    try:
        parts = urlsplit(text)
        name = (parts.hostname or "").encode("idna").decode()
        known = parts.scheme in ("http", "https") and parts.port != 0
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        name, known = "", False
    is_more_than_a_place = any(sign in text for sign in "?# ") or not text.isprintable()
    if not name or not known or is_more_than_a_place:
        raise AddressError(f"{text!r} is not a URL that can be asked: {example}.")
    return text.rstrip("/")


def checked_token(token: str) -> str:
    """ApiError if it cannot be one. The message does not hold it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ApiError("The token or key is empty, or holds characters that none has.")
    return token


class Api:
    """One caller: a device's token, or the admin key."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = checked_url(url)
        self.headers = {"Authorization": f"Bearer {checked_token(token)}"}
        self.timeout_s = timeout_s

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        wait_s: float = 0,
        needs: Needs = NOTHING,
    ) -> dict[str, Any]:
        """The answer. It repeats calls that may succeed later. This is safe for a send with a
        client_message_id.

        `wait_s` is how long the API may hold the answer. ApiError when there is none, or none of Ringpost's:
        one that lacks a field of `needs`.
        """
        refusal = ""
        for pause_s in itertools.islice(backoff_s(0.2, 5.0), TRIES):
            try:
                answer = httpx.request(
                    method, self.url + path, json=body, headers=self.headers, timeout=self.timeout_s + wait_s
                )
            except UnicodeEncodeError:
                raise ApiError(NO_TEXT) from None
            except httpx.HTTPError as error:
                if is_garbage(error):
                    raise ApiError(f"{self.url} {GARBAGE}. {ASK}") from None
                raise ApiError(f"No answer from {self.url}: {reason_of(error)}.") from None
            if answer.is_success:
                return read_answer(self.url, answer, needs)
            refusal, again = read_refusal(self.url, answer)
            if not again:
                break
            time.sleep(pause_s)
        raise ApiError(refusal)

    def send(self, text: str, to: str | None, conversation: str | None, **quotes: object) -> dict[str, Any]:
        """Send a text to a user, or else into a conversation. `quotes` are further fields of the message."""
        place = {"conversation_id": conversation} if to is None else {"to": to}
        content = {"client_message_id": secrets.token_hex(8), "kind": "text", "body": {"text": text}}
        body = {**content, **place, **quotes}
        return self.call("POST", "/v1/messages", body, needs={"message_id": str, "seq": int})


def user_path(user: str) -> str:
    """The path of a user. ApiError if the id can be none."""
    return "/v1/users/" + segment(user)


def segment(name: str) -> str:
    """The name as one part of a path, whatever characters it has.

    ApiError for what is no text, and for a name that would leave the path or end it: `..`, `.` and nothing.
    """
    if name in ("", ".", ".."):
        raise ApiError(f"{name!r} names nothing that can be asked for.")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError:
        raise ApiError(NO_TEXT) from None


def is_garbage(error: Exception) -> bool:
    """Whether something came that is no HTTP."""
    ended = "disconnected" in str(error) or "without sending" in str(error)
    return isinstance(error, httpx.ProtocolError | httpx.DecodingError) and not ended


def reason_of(error: Exception) -> str:
    """The reason why there was no answer, as text behind a colon."""
    if is_garbage(error):
        return f"it {GARBAGE}"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it takes too long"
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, BaseExceptionGroup):
            one = one.exceptions[0]
        if isinstance(one, OSError) and one.errno:
            return os.strerror(one.errno) if one.errno > 0 else str(one.strerror)
        one = one.__cause__ or one.__context__
    if several := re.search(r"\[Errno (\d+)\]", str(error)):  # of a name with several addresses
        return os.strerror(int(several[1]))
    return (str(error) or type(error).__name__).rstrip(".")


def read_answer(url: str, answer: httpx.Response, needs: Needs = NOTHING) -> dict[str, Any]:
    """The object in the answer. ApiError if there is none, or none with what it needs."""
    try:
        read = answer.json()
    except ValueError:
        read = None
    if not isinstance(read, dict) or not all(isinstance(read.get(name), of) for name, of in needs.items()):
        raise ApiError(_strange(url, answer))
    return read


def read_refusal(url: str, answer: httpx.Response) -> tuple[str, bool]:
    """The reason of a refusal, as `code: sentence`, and whether the same call may succeed later."""
    try:
        error = answer.json()["error"]
        code, message, again = _line(error["code"]), _line(error["message"]), bool(error["retriable"])
    except (ValueError, LookupError, TypeError):
        return _strange(url, answer), answer.status_code in AWAY
    field = _line(error.get("field") or "")
    unnamed = field and not message.startswith(field)
    return f"{code}: {field}: {message}" if unnamed else f"{code}: {message}", again


def _strange(url: str, answer: httpx.Response) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0] or "nothing that says what it is"
    return f"{url} {GARBAGE} (status {answer.status_code}, {kind}). {ASK}"


def _line(said: object) -> str:
    """What a server says, in one line."""
    return " ".join(str(said).split())
