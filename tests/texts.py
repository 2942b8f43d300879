"""Texts that can be found wherever they are: each begins with a token that no other text has."""

from __future__ import annotations

import re

_TOKEN = re.compile(rb"<([a-z][0-9]+(?:/[0-9]+)?)[.>]")


def token(name: str, version: int = 0) -> str:
    """The beginning of the text of a message, and of no other: `<m7>`, and `<m7.2>` after an edit."""
    return f"<{name}.{version}>" if version else f"<{name}>"


def tokens_in(raw: bytes) -> set[str]:
    """The names of all messages whose text stands in it."""
    return {name.decode() for name in _TOKEN.findall(raw)}
