"""The stage: the page at `/` under `ringpost up`, and the tokens of its two people, ann and bob.

Only this machine gets them. A request must come from a loopback address, and not through a proxy. It must
name a loopback host with our own port, because a foreign page could reach us by a name of its own. Only our
own page gets a token. Everything else is Forbidden. `ringpost api` by itself has none of these paths.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.caller import Callers
from api.contract import JSON, error_response
from api.strict import convert
from api.views import DeviceName, encode
from domain.clock import now_ms
from domain.devices import Device
from domain.errors import Forbidden, RingpostError
from domain.ids import UserId
from infra.mongo.accounts import AccountStore

TOKEN_TTL_S = 600
PEOPLE = {"ann": "Ann", "bob": "Bob"}
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/stage/stage.css": ("stage.css", "text/css; charset=utf-8"),
    "/stage/stage.js": ("stage.js", "text/javascript; charset=utf-8"),
    "/stage/inbox.js": ("inbox.js", "text/javascript; charset=utf-8"),
    "/stage/message.js": ("message.js", "text/javascript; charset=utf-8"),
    "/stage/row.js": ("row.js", "text/javascript; charset=utf-8"),
    "/stage/words.js": ("words.js", "text/javascript; charset=utf-8"),
    "/stage/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[Request], Awaitable[Response]]


class _TokenPath(Struct):
    """One of the two people, and the device that a window of the page stands for."""

    user_id: Literal["ann", "bob"]
    device_id: DeviceName


class Stage:
    """`port` is the one that we listen on."""

    def __init__(self, accounts: AccountStore, callers: Callers, port: int) -> None:
        self._accounts = accounts
        self._callers = callers
        self._port = port

    def routes(self) -> list[Route]:
        folder = files("web")
        pages = [
            Route(path, self._for_this_machine(_file(folder.joinpath(name).read_bytes(), media_type)))
            for path, (name, media_type) in FILES.items()
        ]
        mint = self._for_this_machine(self._mint)
        return [*pages, Route("/stage/tokens/{user_id}/{device_id}", mint, methods=["POST"])]

    def _for_this_machine(self, handler: Handler) -> Handler:
        async def serve(request: Request) -> Response:
            try:
                self._check(request)
                return await handler(request)
            except RingpostError as error:
                return error_response(error, HEADERS)

        return serve

    def _check(self, request: Request) -> None:
        """Raises Forbidden for a request from another machine."""
        peer = request.client.host if request.client else ""
        host = urlsplit(f"//{request.headers.get('host', '')}")
        try:
            ours = _loopback(peer) and _loopback(host.hostname or "") and (host.port or 80) == self._port
        except ValueError:
            ours = False
        if not ours or _forwarded(request.headers, str(request.scope["http_version"])):
            raise Forbidden(f"This page is for this machine alone: open http://localhost:{self._port} on it.")

    async def _mint(self, request: Request) -> Response:
        """A short-lived token. Raises Forbidden, BadRequest, Unavailable."""
        own = f"http://{request.headers['host']}"
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") != own or site != "same-origin":
            raise Forbidden("Only the page at / gets these tokens.")
        path = convert(request.path_params, _TokenPath)
        for unknown in await self._accounts.unknown(UserId(person) for person in PEOPLE):
            await self._accounts.put_user(unknown, PEOPLE[unknown], now_ms())
        device = Device(UserId(path.user_id), path.device_id)
        await self._accounts.put_device(device, now_ms())
        minted = self._callers.mint(device, TOKEN_TTL_S)
        return Response(encode(minted), headers=HEADERS, media_type=JSON)


def _file(content: bytes, media_type: str) -> Handler:
    async def serve(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return serve


def _loopback(host: str) -> bool:
    """Raises ValueError for a name that is not this machine's."""
    if host == "localhost":
        return True
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _forwarded(headers: Mapping[str, str], http_version: str) -> bool:
    """A proxy stands between. One that names nobody often speaks HTTP 1.0, which no browser does."""
    signs = ("forwarded", "via", "x-forwarded-", "x-real-ip")
    return http_version == "1.0" or any(name.lower().startswith(signs) for name in headers)
