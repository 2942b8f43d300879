"""The result of a check, and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.text import Text

from domain.errors import RingpostError


@dataclass(frozen=True)
class Finding:
    """The result of one check. `said` is what it found, or what to do."""

    name: str
    ok: bool
    said: str

    def coloured(self) -> Text:
        """A line for a terminal."""
        sign = ("ok ", "green") if self.ok else ("BAD", "bold red")
        return Text.assemble(sign, f"  {self.name}: {self.said}")


class Ailing(Exception):
    """The checked thing is there and not well. The message says what is wrong, and what to do."""


async def found(
    name: str,
    look: Callable[[], Awaitable[str]],
    advice: str = "",
    engine: asyncio.Task[Finding] | None = None,
) -> Finding:
    """The answer of `look`, or why it failed, with the advice. Never raises for what may be away.

    `engine` is the check of the engine that `look` asks. If both fail, only that one gives advice.
    """
    try:
        return Finding(name, True, await look())
    except Ailing as ailing:
        return Finding(name, False, str(ailing))
    except RingpostError as error:
        if engine is not None and not (asked := await engine).ok:
            return Finding(name, False, f"not looked at: {asked.name} does not answer as it should")
        return Finding(name, False, f"{error.message} {advice}".rstrip())
