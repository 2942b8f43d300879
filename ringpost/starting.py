"""Shows what is starting, and for how long: live on a terminal, line by line elsewhere."""

from __future__ import annotations

import asyncio
import time
from typing import Self

from rich.console import Console
from rich.progress import TaskID
from rich.text import Text

from infra.tasks import ended
from ringpost.output import live

REMIND_S = 10.0


class Starting:
    """`async with Starting(console) as starting:` shows what has begun and is not ready, for that long.

    If the output is no terminal, a line every ten seconds says what is not ready yet.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: dict[str, tuple[float, TaskID]] = {}
        self._live = live(console)

    async def __aenter__(self) -> Self:
        self._live.start()
        self._reminding = asyncio.create_task(self._remind())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._live.stop()
        await ended([self._reminding])

    def begin(self, name: str, doing: str = "starts") -> None:
        """It starts now. `doing` follows its name."""
        self._begun[name] = (time.monotonic(), self._live.add_task(f"{name} {doing}"))
        if not self._console.is_terminal:
            self._line(f"{name} {doing}")

    def note(self, text: str) -> None:
        """What takes long about the one that the text names."""
        row = next((row for name, (_, row) in self._begun.items() if name in text), None)
        if self._console.is_terminal and row is not None:
            self._live.update(row, description=text)
        else:
            self._line(text)

    def ready(self, name: str, text: str) -> None:
        """It works now. A second call changes nothing."""
        if name in self._begun:
            began, row = self._begun.pop(name)
            self._live.remove_task(row)
            self._line(f"{text} ({time.monotonic() - began:.1f} s)")

    @property
    def waiting(self) -> list[str]:
        """What has begun and is not ready."""
        return list(self._begun)

    async def _remind(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(REMIND_S)
            if self._begun and not self._console.is_terminal:
                self._line(f"Waiting for {', '.join(self._begun)} ({time.monotonic() - began:.0f} s)")

    def _line(self, text: str) -> None:
        self._console.print(Text(text))
