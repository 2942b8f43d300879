"""The ASGI application: the routes, the socket, the paths for operators, the description."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute
from starlette.types import Receive, Scope, Send

from api.asyncapi import describe_events
from api.caller import Callers
from api.contract import Route, endpoint, error_response, http_error
from api.description.page import description_routes
from api.openapi import describe
from domain.errors import NotFound

VERSION = "0.1.0"


def make_app(
    routes: Sequence[Route], others: Sequence[BaseRoute], callers: Callers, max_request_bytes: int
) -> FastAPI:
    """FastAPI serves the routes. Each `Route` says what it takes and gives.

    `others` are served as they are: the socket, and the paths for operators.
    """
    app = FastAPI(title="Ringpost", version=VERSION, openapi_url=None, redirect_slashes=False)
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    for path, some in by_path.items():
        methods = [route.method for route in some]
        app.add_route(path, endpoint(some, callers, max_request_bytes), methods)
    app.router.routes.extend(others)
    app.router.routes.extend(description_routes(describe(routes, VERSION), describe_events(VERSION)))
    app.router.routes.append(HttpRoute("/", _to_docs))
    app.add_exception_handler(HTTPException, http_error)
    app.router.default = _no_such_path
    return app


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    """For HTTP and for WebSockets."""
    await error_response(NotFound("There is no such path."))(scope, receive, send)


async def _to_docs(_: Request) -> Response:
    """Relative, so that it also leads there below another path."""
    return RedirectResponse("docs")
