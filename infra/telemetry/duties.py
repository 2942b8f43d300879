"""What each part of Ringpost needs to do its job, and what it does while an engine is away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

ENGINES = ("mongo", "kafka", "redis")


class Duty(NamedTuple):
    """A part does its job while all engines of at least one group in `needs` answer."""

    job: str
    needs: Sequence[Collection[str]]
    without: Mapping[str, str]
    """Engine → what the part does while only this engine is away."""

    @property
    def engines(self) -> list[str]:
        """The engines that the part uses."""
        return [engine for engine in ENGINES if engine in self.without]

    def is_done_with(self, answering: Collection[str]) -> bool:
        return any(set(group) <= set(answering) for group in self.needs)


DUTIES: dict[str, Duty] = {
    "api": Duty(
        "stores messages, or answers pulls",
        ({"mongo"}, {"redis"}),
        {
            "mongo": "Sends are refused. Pulls are answered from the rings.",
            "kafka": "Messages are stored, and arrive when Kafka is back.",
            "redis": "Sends and pulls use MongoDB. Nothing is pushed. Nobody joins or leaves a group.",
        },
    ),
    "inbox": Duty(
        "writes timelines and rings",
        ({"mongo", "kafka"},),
        {
            "mongo": "It waits. Messages stay in Kafka.",
            "kafka": "It waits. Messages stay in the outbox.",
            "redis": "It writes timelines until RINGPOST_WORKER_IN_FLIGHT records are open, then it waits.",
        },
    ),
    "push": Duty(
        "hands entries to gateways",
        ({"kafka", "redis"},),
        {
            "kafka": "It waits. Devices see new entries when Kafka is back.",
            "redis": "It waits. Devices see new entries when they pull.",
        },
    ),
    "relay": Duty(
        "spreads what did not reach Kafka",
        ({"mongo", "kafka"},),
        {
            "mongo": "It waits. Rows stay in the outbox.",
            "kafka": "It waits. Rows stay in the outbox.",
            "redis": "It goes on. A group with an unfinished change of members may hold it up.",
        },
    ),
}
