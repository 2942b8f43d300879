"""Redis pub/sub between push consumers and gateways. Each gateway has one channel. Nothing is kept.

A signal may be lost. A gateway notices it by the head of the inbox, and pulls.

News has a channel of its own beside it. An older gateway does not hear it, and a gateway ignores news of a
kind that it does not know. So new kinds need no order of upgrade.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import Raw, Struct

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


class Said(Struct, array_like=True, tag="s"):
    """A client's signal for these users, as a frame. The session that sent it does not get it."""

    to: list[UserId]
    origin: str
    frame: bytes


class Turned(Struct, array_like=True, tag="t"):
    """Users who came online or went away, each with the millisecond at which it happened."""

    users: list[tuple[UserId, int]]


class Chose(Struct, array_like=True, tag="c"):
    """A user chose anew who sees when they are online."""

    user_id: UserId


News = Said | Turned | Chose


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
_decode_items = msgspec.msgpack.Decoder(list[Raw]).decode
_decode_news = msgspec.msgpack.Decoder(News).decode


def _known_news(data: bytes) -> list[News]:
    """Without what a later version says."""
    news = []
    with suppress(msgspec.DecodeError):
        for item in _decode_items(data):
            with suppress(msgspec.DecodeError):
                news.append(_decode_news(item))
    return news


def _ignore(_: list[News]) -> None:
    """For who does not ask for news."""


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

    async def tell(self, by_gateway: Mapping[str, Sequence[News]]) -> None:
        """Publish news, one record for each gateway, in few round trips. Raises Unavailable."""
        records = [
            ("PUBLISH", self._keys.gateway_news(name), _encode(news)) for name, news in by_gateway.items()
        ]
        for start in range(0, len(records), PIECES_AT_ONCE):
            await self._client.run(records[start : start + PIECES_AT_ONCE], "Redis refused a signal.")

    async def listen(
        self,
        gateway_id: str,
        on_signals: Callable[[list[Signal]], None],
        on_subscribed: Callable[[], Awaitable[None]],
        on_news: Callable[[list[News]], None] = _ignore,
    ) -> None:
        """Hand over signals and news until cancelled.

        It reconnects by itself, and calls `on_subscribed` after each subscription, because what was sent
        before is lost. It leaves a server that is silent for twice `SILENT_S`.
        """
        while True:
            with suppress(Unavailable):
                await self._listen_once(gateway_id, on_signals, on_subscribed, on_news)
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(
        self,
        gateway_id: str,
        on_signals: Callable[[list[Signal]], None],
        on_subscribed: Callable[[], Awaitable[None]],
        on_news: Callable[[list[News]], None],
    ) -> None:
        channels = [self._keys.gateway(gateway_id), self._keys.gateway_news(gateway_id)]
        with translated():
            async with self._client.pubsub() as pubsub:
                await pubsub.subscribe(*channels)
                asked = True
                while True:
                    got = await pubsub.get_message(timeout=SILENT_S)
                    if got is None and asked:
                        raise TimeoutError("no answer on the channel")
                    asked = got is None
                    if got is None:
                        await pubsub.ping()
                    elif got["type"] == "subscribe":
                        if got["data"] == len(channels):
                            await on_subscribed()
                    elif got["type"] == "message":
                        if got["channel"] == channels[1].encode():
                            on_news(_known_news(got["data"]))
                        else:
                            on_signals(_decode(got["data"]))
