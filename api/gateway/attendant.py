"""What a hub tells those that attend to it. They do nothing that a push or a heartbeat waits for."""

from __future__ import annotations

from collections.abc import Sequence

from api.gateway.register import Turn
from api.gateway.session import Session
from infra.redis.signals import News


class Attendant:
    """Takes what it needs, and ignores the rest. Each call returns at once."""

    def turned(self, turns: Sequence[Turn]) -> None:
        """Users came online or went away by sessions and polls of this gateway."""

    def heard(self, news: Sequence[News]) -> None:
        """News from other gateways. It may be lost, and may come in any order."""

    def left(self, session: Session) -> None:
        """A session that had joined ended."""

    def subscribed(self) -> None:
        """News before this moment may be lost."""
