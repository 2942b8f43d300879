"""The API process put together: routes, gateway, send path, and the order in which they stop."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from api.admission import ADMIN_CONNECTIONS, Admission
from api.app import make_app
from api.caller import Callers
from api.contract import Route
from api.conversation_list import ConversationListing, ConversationRows
from api.conversation_order import ConversationOrder
from api.gateway.endpoint import Gateway
from api.gateway.hub import Hub
from api.gateway.last_seen import LastSeen
from api.gateway.signalling import Signalling
from api.gateway.watches import Watches
from api.history import History
from api.origins import with_origins
from api.routes.accounts import Accounts
from api.routes.conversations import Conversations
from api.routes.inbox import Inbox
from api.routes.messages import Messages
from api.routes.own import Own
from api.routes.people import People
from api.routes.revisions import Revisions
from api.server import HttpService
from api.sight import Sight
from api.stage import Stage
from api.sync import Sync
from domain.limits import request_bytes
from domain.signals import EVERY_S
from infra.keys import load_keys
from infra.lifecycle import Service
from infra.mongo.accounts import AccountStore
from infra.mongo.activity import ActivityStore
from infra.mongo.conversations import ConversationStore
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import TimelineStore
from infra.redis.keys import Keys
from infra.redis.pacing import Pacing
from infra.redis.presence import Presence
from infra.redis.recent import Recent
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from infra.settings import Settings
from infra.telemetry.status import Health, status_routes
from producers.delivered import Delivered
from producers.marks import Marks
from producers.reactions import Reactions
from producers.revise import Revise
from producers.wiring import engine_checks, open_clients, send_path


@asynccontextmanager
async def api_services(
    settings: Settings, bound: socket.socket, admin: socket.socket | None = None, stage: bool = False
) -> AsyncIterator[list[Service]]:
    """What an API process runs, in the order in which it is to be stopped. Raises Unavailable.

    If there is an `admin` socket, calls of admins and metrics are served there and not at `bound`. `stage`
    adds the page of `ringpost up`. The hub says goodbye to the devices, the servers finish their requests,
    `last_seen` writes who went, the spreader finishes what is stored, the barrier ends the lease. An API
    starts without Redis or Kafka, but not without MongoDB.
    """
    async with open_clients(settings, may_lack={"kafka"}) as clients:
        path = await send_path(clients)
        database, redis, keys = clients.database, clients.redis, Keys(settings.redis.key_prefix)
        accounts, messages = AccountStore(database), MessageStore(database)
        conversations, timelines = ConversationStore(database), TimelineStore(database)
        revise = Revise(path.sender, path.reading, messages, path.membership, settings.message)
        reactions = Reactions(messages, path.reading, path.membership, path.conflated)
        delivered = Delivered(path.sender, accounts, timelines, messages)
        marks = Marks(path.sender, path.reading, path.unread)
        callers = Callers(load_keys(settings.auth), settings.auth.token_algorithm)
        sync = Sync(Ring(redis, keys, settings.ring), timelines, path.contents)
        presence = Presence(redis, keys, settings.gateway.presence_ttl_s)
        signals = Signals(redis, keys)
        hub = Hub(presence, signals, sync, settings.gateway)
        sight, last_seen = Sight(presence, accounts, conversations), LastSeen(accounts)
        watches = Watches(hub, presence, signals, sight, last_seen)
        history = History(messages, accounts, path.membership, path.reading)
        recent = Recent(redis, keys, settings.ring.idle_ttl_s)
        order = ConversationOrder(ActivityStore(database), timelines, conversations, recent)
        listing = ConversationListing(
            order, conversations, messages, history, ConversationRows(history, path.unread)
        )
        routes = [
            *Accounts(accounts, callers, settings.auth.token_ttl_s).routes(),
            *Conversations(path.groups, marks, history, listing).routes(),
            *Own(marks, history).routes(),
            *Messages(path.sender, history).routes(),
            *Revisions(revise, reactions, history).routes(),
            *Inbox(sync, hub, accounts, delivered).routes(),
            *People(accounts, sight, watches).routes(),
        ]
        largest = request_bytes(settings.send.group_members)
        signalling = Signalling(hub, presence, signals, Pacing(redis, keys, EVERY_S), path.membership)
        for attendant in (signalling, watches, last_seen):
            hub.attend(attendant)
        gateway = Gateway(callers, hub, sync, path.sender, accounts, delivered, signalling, watches)
        health = Health(engine_checks(clients, {"api"}), parts={"api"})
        servers = []
        if admin is not None:
            for_admins = [route for route in routes if route.admin or route.admin_too]
            app = make_app(for_admins, status_routes(health), callers, largest)
            servers.append(HttpService(app, admin, settings.gateway, connections=ADMIN_CONNECTIONS))
            routes = [replace(route, admin_too=False) for route in routes if not route.admin]
        app = make_app(routes, status_routes(health, with_metrics=admin is None), callers, largest)
        if stage:
            app.router.routes[:0] = Stage(accounts, callers, bound.getsockname()[1]).routes()
        app = gateway.before(app)
        public = with_origins(Admission(app, for_operators(routes)), listed(settings.http.origins))
        trusted = listed(settings.http.trusted_proxies)
        servers.append(HttpService(public, bound, settings.gateway, trusted_proxies=trusted))
        background = last_seen, delivered, path.conflated, path.partitions
        yield [hub, watches, *reversed(servers), *background, path.spreader, path.barrier]


def listed(text: str) -> list[str]:
    """The members of a setting that commas separate."""
    return [part for part in text.split(",") if part]


def for_operators(routes: Iterable[Route]) -> list[str]:
    """What the paths of operators begin with."""
    return ["/health/", "/metrics", *{route.path.partition("{")[0] for route in routes if route.admin}]
