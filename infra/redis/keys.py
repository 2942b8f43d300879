"""Every key and channel. `{…}` is the hash tag, so that a script touches one slot only."""

from __future__ import annotations

import re

from domain.ids import ConversationId, UserId


def escaped(prefix: str) -> str:
    """As a pattern of Redis that matches the prefix itself."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", prefix)


class Keys:
    """Key builders under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def ring(self, user: UserId) -> str:
        """List: the user's newest entries."""
        return f"{self._prefix}{{u:{user}}}:ring"

    def filling(self, user: UserId) -> str:
        """List: generation and token of the claim to refill the ring, then entries that arrive meanwhile."""
        return f"{self._prefix}{{u:{user}}}:filling"

    def online(self, user: UserId) -> str:
        """Sorted set: `gateway/device/session`, by the millisecond at which its presence ends."""
        return f"{self._prefix}{{u:{user}}}:online"

    def watchers(self, user: UserId) -> str:
        """Sorted set: gateways that watch the user, by the millisecond at which each one's watch ends."""
        return f"{self._prefix}{{u:{user}}}:watchers"

    def signalled(self, user: UserId, conversation: ConversationId) -> str:
        """String: there while a further signal of the user in the conversation is dropped."""
        return f"{self._prefix}{{u:{user}}}:signalled:{conversation}"

    def recent(self, user: UserId) -> str:
        """Sorted set: the user's newest conversations (see `lua/recent.lua`)."""
        return f"{self._prefix}{{u:{user}}}:recent"

    def counter(self, conversation: ConversationId) -> str:
        """Hash: `q` the last seq handed out, `v` the version of the member list, `g` the generation."""
        return f"{self._prefix}{{c:{conversation}}}:n"

    def gateway(self, gateway_id: str) -> str:
        """Channel: signals to one gateway."""
        return f"{self._prefix}gateway:{gateway_id}"

    def gateway_news(self, gateway_id: str) -> str:
        """Channel: news to one gateway, of kinds that it may not know."""
        return f"{self._prefix}gateway:{gateway_id}:news"

    def gateway_mark(self, gateway_id: str) -> str:
        """String: the generation in which a gateway wrote what it has in Redis."""
        return f"{self._prefix}gateway:{gateway_id}:mark"
