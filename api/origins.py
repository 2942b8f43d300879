"""Which web pages may call the API from a browser (CORS)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REMEMBERED_S = 600


def with_origins(app: Any, origins: Sequence[str]) -> Any:
    """The application, open to pages of these origins. `*` is all. Its error answers carry the headers too.

    Callers are known by a token that a page has to send itself, never by a cookie. So another page cannot
    act for a user, and sockets need no such check: a page of any origin may open one.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=REMEMBERED_S,
    )
