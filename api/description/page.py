"""The page at `/docs`: Swagger UI from files of ours, so it works without Internet and below any path."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "png": "image/png"}
_OF_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
_OURS = ("page.js", "page.css")


def description_routes(calls: dict[str, Any], events: dict[str, Any]) -> list[BaseRoute]:
    """`/docs`, its files, `/openapi.json` and `/asyncapi.json`. Every address in them is relative."""
    served = {"/docs": ("api.description", "page.html")}
    served |= {f"/docs-files/{name}": ("fastapi_swagger.resources", name) for name in _OF_SWAGGER}
    served |= {f"/docs-files/{name}": ("api.description", name) for name in _OURS}
    described = [_json("/openapi.json", calls), _json("/asyncapi.json", events)]
    return [*described, *(_file(path, *place) for path, place in served.items())]


def _json(path: str, description: dict[str, Any]) -> Route:
    text = msgspec.json.encode(description)

    async def serve(_: Request) -> Response:
        return Response(text, media_type="application/json")

    return Route(path, serve)


def _file(path: str, package: str, name: str) -> Route:
    async def serve(_: Request) -> Response:
        content = files(package).joinpath(name).read_bytes()
        return Response(content, headers=_HEADERS, media_type=_KINDS[name.rpartition(".")[2]])

    return Route(path, serve)
