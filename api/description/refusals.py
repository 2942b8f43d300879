"""What each error means to a caller, with an example. A call may say more of one in `operations.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import to_builtins

from api.errors import STATUS, ErrorAnswer, error_body
from domain import errors


class Refusal(NamedTuple):
    """`when` is the sentence of the description; message and field are those of the example."""

    when: str
    message: str
    field: str | None = None


Refusals = Mapping[type[errors.RingpostError], Refusal]

REFUSALS: Refusals = {
    errors.BadRequest: Refusal(
        "The request is not as described here; `field` names the part that is wrong.",
        'limit must be a whole number from 1 to 200, not "0".',
        "limit",
    ),
    errors.Unauthenticated: Refusal(
        "There is no token or key, or it is wrong, or it has expired.", "The token has expired."
    ),
    errors.Forbidden: Refusal("You may not do this.", "You are not a member of this conversation."),
    errors.NotFound: Refusal(
        "There is no such user, conversation, message or path.", "There is no such path."
    ),
    errors.MethodNotAllowed: Refusal(
        "The path does not take this method; the header `Allow` says which it takes.",
        "This path does not take this method.",
    ),
    errors.Conflict: Refusal(
        "Another message or edit has this `client_message_id`, the message was recalled, a limit is reached, "
        "or others changed the members at the same moment.",
        "This client_message_id was used for another message.",
        "client_message_id",
    ),
    errors.CursorAhead: Refusal(
        "The cursor lies beyond the inbox. Forget it, and pull from 0.",
        "The cursor is ahead of the inbox, which ends at 2.",
        "cursor",
    ),
    errors.TooLarge: Refusal(
        "The request, or a part of it, is larger than it may be.", "A text may have 65536 bytes of UTF-8."
    ),
    errors.HeadTooLarge: Refusal(
        "The path, the query or the headers are larger than they may be.",
        "The path and query of a request may have 16384 bytes.",
    ),
    errors.TooSlow: Refusal(
        "The request did not arrive within 30 seconds; the server closes the connection.",
        "The request was not complete within 30 s.",
    ),
    errors.RateLimited: Refusal(
        "You ask too often. Wait for the seconds of `Retry-After`; no call answers this yet.",
        "You have sent too many requests.",
    ),
    errors.Internal: Refusal(
        "The server has a fault, and its log says which.", "The server has a fault. Its log says which."
    ),
    errors.Unavailable: Refusal(
        "An engine behind the server does not answer. Send the same request again after `Retry-After`.",
        "The message store does not answer.",
    ),
    errors.Overloaded: Refusal(
        "Too many sends are waiting. Nothing was stored: send the same request again after `Retry-After`.",
        "Too many messages are waiting to be stored.",
    ),
}


def error_table() -> str:
    """A Markdown table of all codes, in the order of their status."""
    rows = ["| code | status | try again | when |", "|---|---|---|---|"]
    for error in sorted(errors.every_error()[1:], key=lambda one: (STATUS[one], one.code)):
        again = "yes" if error.retriable else "no"
        rows.append(f"| `{error.code}` | {STATUS[error]} | {again} | {REFUSALS[error].when} |")
    return "\n".join(rows)


def example_of(error: type[errors.RingpostError], refusal: Refusal) -> dict[str, object]:
    """The answer to a refused call."""
    answer: dict[str, object] = to_builtins(ErrorAnswer(error_body(error(refusal.message, refusal.field))))
    return answer
