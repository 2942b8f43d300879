"""Redis pub/sub between push consumers and gateways. Each gateway has one channel. Nothing is kept.

A signal may be lost. A gateway notices it by the head of the inbox, and pulls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from domain.errors import Unavailable
from domain.ids import DeviceId, UserId
from infra.redis.client import Client
from infra.redis.keys import Keys
from infra.redis.link import translated

RECONNECT_S = 0.5
SILENT_S = 1.5
PIECE_BYTES = 262_144
PIECES_AT_ONCE = 64


class Pushed(Struct, array_like=True, tag="p"):
    """One message, and the inbox numbers that it has for users on this gateway."""

    to: list[tuple[UserId, int]]
    message: bytes


class Replaced(Struct, array_like=True, tag="r"):
    """A device has a newer connection on another gateway. All of its other sessions end."""

    user_id: UserId
    device_id: DeviceId
    session_id: str


Signal = Pushed | Replaced


def _pieces(signals: Sequence[Signal]) -> Iterator[Sequence[Signal]]:
    """In order, at most about `PIECE_BYTES` in each. A larger signal is a piece of its own."""
    first = size = 0
    for index, signal in enumerate(signals):
        more = len(signal.message) + 80 * len(signal.to) if isinstance(signal, Pushed) else 256
        if index > first and size + more > PIECE_BYTES:
            yield signals[first:index]
            first, size = index, 0
        size += more
    yield signals[first:]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Signal]).decode


class Signals:
    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def send(self, by_gateway: Mapping[str, list[Signal]]) -> int:
        """Publish to each gateway in order, in pieces of about `PIECE_BYTES` and few round trips. Returns how
        many pieces were heard. Raises Unavailable.
        """
        pieces = [
            ("PUBLISH", self._keys.gateway(name), _encode(piece))
            for name, signals in by_gateway.items()
            for piece in _pieces(signals)
        ]
        heard = 0
        for start in range(0, len(pieces), PIECES_AT_ONCE):
            some = pieces[start : start + PIECES_AT_ONCE]
            heard += sum(await self._client.run(some, "Redis refused a signal."))
        return heard

    async def listen(
        self,
        gateway_id: str,
        on_signals: Callable[[list[Signal]], None],
        on_subscribed: Callable[[], Awaitable[None]],
    ) -> None:
        """Hand over signals until cancelled. It reconnects by itself, and calls `on_subscribed` after each
        subscription, because signals sent before it are lost. It leaves a server that is silent for twice
        `SILENT_S`.
        """
        while True:
            with suppress(Unavailable):
                await self._listen_once(gateway_id, on_signals, on_subscribed)
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(
        self,
        gateway_id: str,
        on_signals: Callable[[list[Signal]], None],
        on_subscribed: Callable[[], Awaitable[None]],
    ) -> None:
        with translated():
            async with self._client.pubsub() as pubsub:
                await pubsub.subscribe(self._keys.gateway(gateway_id))
                asked = True
                while True:
                    got = await pubsub.get_message(timeout=SILENT_S)
                    if got is None and asked:
                        raise TimeoutError("no answer on the channel")
                    asked = got is None
                    if got is None:
                        await pubsub.ping()
                    elif got["type"] == "subscribe":
                        await on_subscribed()
                    elif got["type"] == "message":
                        on_signals(_decode(got["data"]))
