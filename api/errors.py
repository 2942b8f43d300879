"""The one table that maps errors outwards: HTTP status, and the close code of a socket."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from domain import errors

STATUS: dict[type[errors.RingpostError], int] = {
    errors.RingpostError: 500,
    errors.Internal: 500,
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.CursorAhead: 409,
    errors.TooLarge: 413,
    errors.TooSlow: 408,
    errors.HeadTooLarge: 431,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
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


def status_of(error: errors.RingpostError) -> int:
    return STATUS[type(error)]


def error_body(error: errors.RingpostError) -> ErrorBody:
    return ErrorBody(error.code, error.message, error.retriable, error.field)
