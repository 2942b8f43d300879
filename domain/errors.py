"""Everything that can go wrong, as one tree. An error carries its own policy.

RingpostError
├── BadRequest        the server does not understand the request; names the field
├── CursorAhead       the cursor lies beyond the inbox's head
├── Unauthenticated   no token, or one that is not valid
├── Forbidden         a valid caller who may not do this
├── NotFound          there is no such thing, or the caller may not know of it
├── MethodNotAllowed  the path exists, the method does not
├── Conflict          the same client_message_id with other content
├── TooLarge          a request, body or list beyond its limit
├── HeadTooLarge      a request's path, query or headers beyond their limit
├── TooSlow           a request that did not arrive in time
├── RateLimited       too many requests of one caller
├── Internal          a fault of the server
└── Unavailable       an engine does not answer; the same request may succeed later
    └── Overloaded    a bound is reached; come back later

Clients see `code`. `retriable` means that the same request, unchanged, may succeed later.
"""

from __future__ import annotations


class RingpostError(Exception):
    """Root of the tree. `message` is a sentence for a person, `field` the faulty part of the request."""

    code = "internal"
    retriable = False

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class BadRequest(RingpostError):
    code = "bad_request"


class CursorAhead(RingpostError):
    code = "cursor_ahead"


class Unauthenticated(RingpostError):
    code = "unauthenticated"


class Forbidden(RingpostError):
    code = "forbidden"


class NotFound(RingpostError):
    code = "not_found"


class MethodNotAllowed(RingpostError):
    code = "method_not_allowed"


class Conflict(RingpostError):
    code = "conflict"


class TooLarge(RingpostError):
    code = "too_large"


class HeadTooLarge(RingpostError):
    code = "head_too_large"


class TooSlow(RingpostError):
    code = "too_slow"


class RateLimited(RingpostError):
    code = "rate_limited"
    retriable = True


class Internal(RingpostError):
    pass


class Unavailable(RingpostError):
    """`nothing_done`: the engine was not asked, or we lack a right there. Otherwise it may have done it."""

    code = "unavailable"
    retriable = True

    def __init__(self, message: str, field: str | None = None, *, nothing_done: bool = False) -> None:
        super().__init__(message, field)
        self.nothing_done = nothing_done


class Overloaded(Unavailable):
    """`retry_after_s`: after so many seconds it may be different."""

    code = "overloaded"

    def __init__(self, message: str, field: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(message, field)
        self.retry_after_s = retry_after_s


def every_error() -> list[type[RingpostError]]:
    """All classes of the tree, the root first."""
    found: list[type[RingpostError]] = [RingpostError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found
