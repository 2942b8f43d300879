"""An application of a few lines, served in this process by the server of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from api.server import HttpService, bound_socket
from infra.settings import GatewaySettings

HEARTBEAT_S = 0.05
PONG_TIMEOUT_S = 2.0


@asynccontextmanager
async def served(application: Callable[..., Awaitable[None]], **options: Any) -> AsyncIterator[int]:
    """The port at which it is served."""
    gateway = GatewaySettings(heartbeat_s=HEARTBEAT_S, pong_timeout_s=PONG_TIMEOUT_S)
    service = HttpService(application, bound_socket("127.0.0.1", 0), gateway, **options)
    running = asyncio.create_task(service.run())
    await service.listening.wait()
    try:
        yield service.port
    finally:
        service.stop()
        await running
