"""Reactions: which keys there are, and how many of them a message bears."""

from __future__ import annotations

import re

import emoji

from domain.errors import BadRequest, Conflict
from domain.ids import UserId
from domain.registers import Reactors

KEY_BYTES = 32
MOST_KEYS = 20
MOST_OF_USER = 3

_AS_PICTURE = "\ufe0f"
_NAMED = re.compile(r":[A-Za-z0-9_+-]{1,30}:\Z")


def checked_key(key: str) -> str:
    """Raises BadRequest for what is neither one emoji nor `:name:`.

    An emoji may have the sign that asks for its picture behind it, also one that is a picture without it.
    """
    is_emoji = emoji.is_emoji(key) or emoji.is_emoji(key.removesuffix(_AS_PICTURE))
    if len(key.encode()) > KEY_BYTES or not (is_emoji or _NAMED.match(key)):
        raise BadRequest(
            f"A reaction is one emoji or :name:, with {KEY_BYTES} bytes of UTF-8 at the most.", "key"
        )
    return key


def with_reaction(by_key: Reactors, user: UserId, key: str) -> Reactors:
    """Raises Conflict beyond the bounds. The same again changes nothing."""
    found = dict(by_key)
    if user in found.get(key, ()):
        return by_key
    if sum(user in users for users in found.values()) >= MOST_OF_USER:
        raise Conflict(f"A user gives {MOST_OF_USER} reactions to a message at the most.", "key")
    if key not in found and len(found) >= MOST_KEYS:
        raise Conflict(f"A message has {MOST_KEYS} different reactions at the most.", "key")
    return list((found | {key: [*found.get(key, ()), user]}).items())


def without_reaction(by_key: Reactors, user: UserId, key: str) -> Reactors:
    """A key that nobody gives any more is gone."""
    kept = [(one, [u for u in users if one != key or u != user]) for one, users in by_key]
    return [(one, users) for one, users in kept if users]
