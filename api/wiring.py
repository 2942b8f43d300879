"""The API process put together: routes, gateway, send path, and the order in which they stop."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.app import make_app
from api.caller import Callers
from api.gateway.endpoint import Gateway
from api.gateway.hub import Hub
from api.history import History
from api.routes.accounts import Accounts
from api.routes.conversations import Conversations
from api.routes.inbox import Inbox
from api.routes.messages import Messages
from api.server import HttpService
from api.stage import Stage
from api.sync import Sync
from infra.keys import load_keys
from infra.lifecycle import Service
from infra.redis.client import ping
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from infra.settings import Settings
from infra.telemetry.status import Check, Health
from producers.wiring import Engines, open_engines, send_path


@asynccontextmanager
async def api_services(
    settings: Settings, bound: socket.socket, stage: bool = False
) -> AsyncIterator[list[Service]]:
    """What an API process runs, in the order in which it is to be stopped. Raises Unavailable.

    The hub says goodbye to the devices, the server finishes its requests, the spreader what is
    stored, the barrier ends the lease. `stage` adds the page of `ringpost up`.
    """
    async with open_engines(settings) as engines:
        path = await send_path(engines)
        callers = Callers(load_keys(settings.auth), settings.auth.token_algorithm)
        sync = Sync(Ring(engines.redis, engines.keys, settings.ring), engines.timelines, engines.messages)
        presence = Presence(engines.redis, engines.keys, settings.gateway.presence_ttl_s)
        hub = Hub(presence, Signals(engines.redis, engines.keys), sync, settings.gateway)
        history = History(
            engines.messages, engines.conversations, engines.accounts, path.membership, engines.sequence
        )
        routes = [
            *Accounts(engines.accounts, callers, settings.auth.token_ttl_s).routes(),
            *Conversations(path.groups, history).routes(),
            *Messages(path.sender, history).routes(),
            *Inbox(sync, hub, engines.accounts).routes(),
        ]
        largest = settings.http.max_request_bytes
        gateway = Gateway(callers, hub, sync, path.sender, engines.accounts, largest)
        app = make_app(routes, gateway, Health(engine_checks(engines)), callers, largest)
        if stage:
            app.router.routes[:0] = Stage(engines.accounts, callers, bound.getsockname()[1]).routes()
        yield [hub, HttpService(app, bound, settings.gateway), path.spreader, path.barrier]


def engine_checks(engines: Engines) -> dict[str, Check]:
    """Ready means: all three engines answer."""
    return {
        "mongo": engines.database.ping,
        "redis": lambda: ping(engines.redis),
        "kafka": engines.log.version,
    }
