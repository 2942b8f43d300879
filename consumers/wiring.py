"""The consumers put together from open engines."""

from __future__ import annotations

from consumers.behind import Behind
from consumers.dead_letter import DeadLetters
from consumers.inbox import Inbox
from consumers.loop import Loop
from consumers.push import Push
from consumers.timeline_writer import TimelineWriter
from domain.events import Arrival, Delivery
from infra.mongo.behind import BehindStore
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from producers.wiring import Engines


def inbox(engines: Engines) -> tuple[Loop[Delivery], Behind]:
    """The consumer, and what looks after rings that missed an entry. Stop them in this order."""
    ring = Ring(engines.redis, engines.keys, engines.settings.ring)
    behind = Behind(ring, BehindStore(engines.database), engines.partitions)
    handler = Inbox(TimelineWriter(engines.timelines), ring, behind, engines.publisher)
    letters = DeadLetters(engines.publisher)
    return Loop(engines.log, handler, letters, engines.settings.worker, behind.assigned, handler.pace), behind


def push(engines: Engines) -> Loop[Arrival]:
    presence = Presence(engines.redis, engines.keys, engines.settings.gateway.presence_ttl_s)
    handler = Push(presence, Signals(engines.redis, engines.keys))
    return Loop(engines.log, handler, DeadLetters(engines.publisher), engines.settings.worker)
