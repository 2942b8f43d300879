"""The one table that maps errors outwards: HTTP status, and the close code of a socket."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from domain.errors import (
    BadRequest,
    Conflict,
    CursorAhead,
    Forbidden,
    HeadTooLarge,
    Internal,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RateLimited,
    RingpostError,
    TooLarge,
    TooSlow,
    Unauthenticated,
    Unavailable,
)

STATUS: dict[type[RingpostError], int] = {
    RingpostError: 500,
    Internal: 500,
    BadRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    CursorAhead: 409,
    TooLarge: 413,
    TooSlow: 408,
    HeadTooLarge: 431,
    RateLimited: 429,
    Unavailable: 503,
    Overloaded: 503,
}

RETRY_AFTER_S = 1


class ErrorBody(Struct, omit_defaults=True):
    """What went wrong. Decide by `code` and `retriable`."""

    code: Annotated[str, Meta(description="The kind of error, one of the codes listed at the top.")]
    message: Annotated[str, Meta(description="One sentence for a person. It may change.")]
    retriable: Annotated[bool, Meta(description="Whether the same request, unchanged, may succeed later.")]
    field: Annotated[
        str | None, Meta(description="The part of the request that is wrong, where there is one.")
    ] = None


class ErrorAnswer(Struct):
    """The form of every error."""

    error: Annotated[ErrorBody, Meta(description="What went wrong.")]


def status_of(error: RingpostError) -> int:
    return STATUS[type(error)]


def error_body(error: RingpostError) -> ErrorBody:
    return ErrorBody(error.code, error.message, error.retriable, error.field)
