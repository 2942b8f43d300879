"""The line between bob's device and the server, in the hands of a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import WebSocketRoute

Frame = dict[str, Any]


class Line:
    """Hears both devices. Bob has `heard` the frames that `keep` lets through; the others are `lost`."""

    def __init__(self) -> None:
        self.keep: Callable[[Frame], bool] = lambda _: True
        self.said: list[tuple[str, Frame]] = []
        self.heard: list[Frame] = []
        self.lost: list[Frame] = []
        self._ends: dict[str, WebSocketRoute] = {}

    async def close(self, code: int, reason: str = "") -> None:
        """Bob's device sees its connection end so, as if the server had done it."""
        await self._ends["bob"].close(code=code, reason=reason)

    def tell_bob(self, frame: Frame) -> None:
        """Bob's device hears this, as if the server had said it."""
        self._ends["bob"].send(json.dumps(frame))

    def take(self, end: WebSocketRoute) -> None:
        """Playwright calls this for each connection, before it is made."""
        server = end.connect_to_server()
        user = ""
        unnamed: list[Frame] = []

        def from_page(text: str | bytes) -> None:
            frame = json.loads(text)
            if user:
                self.said.append((user, frame))
            else:
                unnamed.append(frame)
            server.send(text)

        def from_server(text: str | bytes) -> None:
            nonlocal user
            frame = json.loads(text)
            if frame["type"] == "welcome":
                user = frame["user_id"]
                self._ends[user] = end
                self.said += [(user, earlier) for earlier in unnamed]
            if user == "bob" and not self.keep(frame):
                self.lost.append(frame)
            else:
                end.send(text)
                self.heard += [frame] * (user == "bob")

        end.on_message(from_page)
        server.on_message(from_server)

    def hellos(self) -> list[Frame]:
        """Of bob's device, one for each connection that was welcomed."""
        return [frame for user, frame in self.said if user == "bob" and frame["type"] == "hello"]

    def sends(self, text: str) -> list[Frame]:
        """Every send of this text by bob's device."""
        return [
            frame
            for user, frame in self.said
            if user == "bob" and frame["type"] == "send" and frame["body"]["text"] == text
        ]
