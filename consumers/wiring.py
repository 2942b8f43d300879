"""The consumers put together from open engines."""

from __future__ import annotations

from consumers.dead_letter import DeadLetters
from consumers.inbox import Inbox
from consumers.loop import Loop
from consumers.push import Push
from consumers.timeline_writer import TimelineWriter
from domain.events import Arrival, Delivery
from infra.redis.presence import Presence
from infra.redis.ring import Ring
from infra.redis.signals import Signals
from producers.wiring import Engines


def inbox(engines: Engines) -> Loop[Delivery]:
    ring = Ring(engines.redis, engines.keys, engines.settings.ring)
    handler = Inbox(TimelineWriter(engines.timelines), ring, engines.publisher)
    return Loop(engines.log, handler, DeadLetters(engines.publisher), engines.settings.worker)


def push(engines: Engines) -> Loop[Arrival]:
    presence = Presence(engines.redis, engines.keys, engines.settings.gateway.presence_ttl_s)
    handler = Push(presence, Signals(engines.redis, engines.keys))
    return Loop(engines.log, handler, DeadLetters(engines.publisher), engines.settings.worker)
