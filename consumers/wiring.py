"""The consumers put together from open engines."""

from __future__ import annotations

from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Loop
from consumers.push import Push
from consumers.timeline_writer import TimelineWriter
from domain.events import Arrival, Delivery
from infra.mongo.behind import BehindStore
from infra.mongo.contents import Contents
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import TimelineStore
from infra.redis.keys import Keys
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from producers.wiring import Clients


def inbox(clients: Clients) -> tuple[Loop[Delivery], Behind]:
    """The consumer, and what looks after rings that missed an entry. Stop them in this order."""
    settings, database, publisher = clients.settings, clients.database, clients.publisher
    ring = Ring(clients.redis, Keys(settings.redis.key_prefix), settings.ring)
    behind = Behind(ring, BehindStore(database), clients.partitions)
    contents = Contents(MessageStore(database))
    handler = Inbox(TimelineWriter(TimelineStore(database)), contents, ring, behind, publisher)
    return Loop(clients.log, handler, publisher, settings.worker, behind.assigned, handler.pace), behind


def push(clients: Clients) -> Loop[Arrival]:
    settings, keys = clients.settings, Keys(clients.settings.redis.key_prefix)
    presence = Presence(clients.redis, keys, settings.gateway.presence_ttl_s)
    handler = Push(presence, Signals(clients.redis, keys))
    return Loop(clients.log, handler, clients.publisher, settings.worker)
