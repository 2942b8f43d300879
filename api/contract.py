"""The definition of a route: its handler, the checks before it, and its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.caller import Callers
from api.errors import RETRY_AFTER_S, ErrorAnswer, error_body, status_of
from api.strict import convert, read_json, read_query
from api.views import encode
from domain.errors import (
    BadRequest,
    Internal,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RingpostError,
    TooLarge,
)
from infra.telemetry.logs import logger
from infra.telemetry.names import REQUESTS

JSON = "application/json"
PRIVATE = {"Cache-Control": "no-store"}
CLIENT_GONE = 499
"""The status that is counted for a client that left before its request was complete. Nobody receives it."""


class _NoFields(Struct, forbid_unknown_fields=True):
    """For a route that takes no parameters, or whose body has no fields."""


@dataclass(frozen=True)
class Answer:
    """The answer of a handler: a struct, or bytes that are JSON already."""

    value: Any
    status: int = 200


Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """`handler` gets `device` (except for admin calls), and those of `path`, `query` and `body` that have a
    type here. `admin_too`: the admin key may call it as well, and `device` is None then.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, type]
    path_type: type | None = None
    query_type: type | None = None
    body_type: type | Any = None
    admin: bool = False
    admin_too: bool = False
    most_bytes: int = 0
    """The most bytes of the body, where it may be larger than for other routes."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def endpoint(
    routes: Sequence[Route], callers: Callers, max_bytes: int
) -> Callable[[Request], Awaitable[Response]]:
    """Serves the routes of one path, by method."""
    by_method = {route.method: route for route in routes}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def serve(request: Request) -> Response:
        route = by_method[request.method]
        response = await _answered(request, route, callers, max_bytes)
        REQUESTS.labels(route.name, str(response.status_code)).inc()
        return response

    return serve


async def _answered(request: Request, route: Route, callers: Callers, max_bytes: int) -> Response:
    try:
        asked = await _asked(request, route, callers, max_bytes)
        answer = await route.handler(**asked)
    except RingpostError as error:
        if isinstance(error, Internal):
            logger().error("request failed", route=route.name, error=error.message)
        return error_response(error)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except Exception:
        logger().exception("request failed", route=route.name)
        return error_response(Internal("The server has a fault. Its log says which."))
    value = answer.value
    body = value if isinstance(value, bytes) else encode(value)
    return Response(body, answer.status, PRIVATE, JSON)


async def _asked(request: Request, route: Route, callers: Callers, max_bytes: int) -> dict[str, Any]:
    """The arguments of the handler. Raises the error that the caller gets instead."""
    asked: dict[str, Any] = {}
    authorization = request.headers.get("authorization")
    if route.admin:
        callers.admin(authorization)
    elif route.admin_too and callers.is_admin(authorization):
        asked["device"] = None
    else:
        asked["device"] = callers.device(authorization)
    if route.path_type is not None:
        asked["path"] = convert(request.path_params, route.path_type)
    query: Any = read_query(request.query_params.multi_items(), route.query_type or _NoFields)
    if route.query_type is not None:
        asked["query"] = query
    if route.body_type is not None:
        asked["body"] = read_json(await _body(request, route.most_bytes or max_bytes), route.body_type)
    elif request.method not in ("GET", "HEAD") and (body := await _body(request, max_bytes)):
        read_json(body, _NoFields)
    return asked


async def _body(request: Request, max_bytes: int) -> bytes:
    """The whole body. It stops reading at the limit."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"A request body may have {max_bytes} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def error_response(error: RingpostError, headers: dict[str, str] | None = None) -> Response:
    """An error as JSON with its status. It has `Retry-After` if the same request may succeed later."""
    headers = PRIVATE | (headers or {})
    if error.retriable:
        after_s = error.retry_after_s if isinstance(error, Overloaded) else RETRY_AFTER_S
        headers["Retry-After"] = str(after_s)
    if status_of(error) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(encode(ErrorAnswer(error_body(error))), status_of(error), headers, JSON)


async def http_error(_: Request, error: Any) -> Response:
    """An error of Starlette, in the form of ours."""
    if error.status_code == 405:
        return error_response(
            MethodNotAllowed("This path does not take this method."), dict(error.headers or {})
        )
    if error.status_code == 404:
        return error_response(NotFound("There is no such path."))
    return error_response(BadRequest("The server does not understand the request."))
