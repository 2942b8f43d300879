"""The HTTP and WebSocket server: uvicorn, with our close codes and our shutdown."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from api.admission import AdmittingProtocol, Refusals
from api.connection import READ_S
from api.socket import SocketProtocol
from infra.descriptors import connections_of, open_files
from infra.settings import GatewaySettings, SettingsError

LARGEST_FRAME_BYTES = 1_048_576


ACCEPT_QUEUE = 65_535
"""Connections that wait to be accepted; Linux allows `net.core.somaxconn` of them (4,096). When devices come
back all at once, those beyond wait for a second, three, seven.
"""


class _Server(uvicorn.Server):
    """Leaves signals to the lifecycle of the process, and tells when it listens."""

    def __init__(self, config: uvicorn.Config, listening: asyncio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(ACCEPT_QUEUE)
        self._listening.set()


_NO_SUCH_HOST = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bound_socket(host: str, port: int, setting: str = "RINGPOST_HTTP_PORT") -> socket.socket:
    """A socket that listens on the address. SettingsError names the setting of the port if it is not free.

    It names that of the host if this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if isinstance(error, socket.gaierror) or error.errno in _NO_SUCH_HOST:
            raise SettingsError(
                f"{setting.replace('_PORT', '_HOST')} must be an address or the name of this machine, "
                f"and is {host}."
            ) from None
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}. Set {setting}.") from None
    return bound


class HttpService:
    """Serves one ASGI application until stopped. Then it finishes the requests in progress.

    Holds at most `connections`, by default as many as there are file descriptors for (`api/admission.py`).
    `X-Forwarded-For` and `-Proto` count only from `trusted_proxies`. The header `Forwarded` is not read:
    a proxy that writes the others may pass on one that its client wrote.
    """

    name = "http"

    def __init__(
        self,
        app: Any,
        bound: socket.socket,
        gateway: GatewaySettings,
        *,
        read_s: float = READ_S,
        trusted_proxies: Sequence[str] = (),
        connections: int | None = None,
    ) -> None:
        refusals = Refusals(connections or connections_of(open_files()))
        config = uvicorn.Config(
            app,
            loop="none",
            http=partial(AdmittingProtocol, refusals, read_s=read_s),  # type: ignore[arg-type]
            ws=partial(SocketProtocol, handshake_s=read_s),  # type: ignore[arg-type]
            ws_max_size=LARGEST_FRAME_BYTES,
            ws_ping_interval=gateway.heartbeat_s,
            ws_ping_timeout=gateway.pong_timeout_s,
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
            server_header=False,
            lifespan="off",
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_graceful_shutdown=5,
            timeout_keep_alive=60,
        )
        self._bound = bound
        self.port = int(bound.getsockname()[1])
        self.listening = asyncio.Event()
        self._server = _Server(config, self.listening)

    async def run(self) -> None:
        await self._server.serve([self._bound])

    def stop(self) -> None:
        self._server.should_exit = True
