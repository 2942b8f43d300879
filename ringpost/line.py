"""One entry of an inbox as a line for people.

What people wrote stands in quotes, with the escapes of JSON, so it can be neither a second line nor a command
to the terminal. What this version does not know is called so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ringpost.inbox import Entry
from ringpost.output import quoted

Told = Mapping[str, Any]
"""What an entry carries in the field that is named like its type."""

_one_word = re.compile(r"""[^\s"'\\,;()]+""")


def line_of(entry: Entry) -> str:
    """Its number, its type, what it is about, and what it says."""
    type_ = entry.get("type")
    if not isinstance(type_, str):
        return f"{entry['seq']} entry without a type"
    start = f"{entry['seq']} {word(type_)}"
    words = _WORDS.get(type_)
    if words is None:
        return f"{start}: this version does not know this type of entry"
    try:
        return f"{start} {words(entry[type_])}"
    except (LookupError, TypeError, AttributeError, RecursionError):
        return f"{start}: this version does not know this form of entry"


def word(value: object) -> str:
    """An id or a name as it is; in quotes where it is not one harmless word."""
    shown = quoted(value)
    return value if isinstance(value, str) and shown == f'"{value}"' and _one_word.fullmatch(value) else shown


def _message(message: Told) -> str:
    place = f"{word(message['message_id'])} {word(message['sender_id'])}:"
    if recalled := message.get("recalled"):
        return f"{place} recalled by {word(recalled['by'])}"
    notes = "; ".join(_notes(message))
    return f"{place} {_content(message)}" + (f" ({notes})" if notes else "")


def _content(message: Told) -> str:
    kind, body = message["kind"], message["body"]
    return quoted(body["text"]) if kind == "text" else f"{word(kind)} {quoted(body)}"


def _notes(message: Told) -> Iterator[str]:
    if reply_to := message.get("reply_to"):
        yield f"reply to {word(reply_to)}"
    if forward := message.get("forward_of"):
        yield f"forward of {word(forward['message_id'])} by {word(forward['sender_id'])}"
    if mentions := message.get("mentions"):
        yield "mentions " + ", ".join(map(word, [mentions] if isinstance(mentions, str) else mentions))
    if message.get("edited_at"):
        yield "edited"
    if reactions := message.get("reactions"):
        yield "reactions " + ", ".join(f"{word(key)} {word(one['count'])}" for key, one in reactions.items())
    if message.get("pinned"):
        yield "pinned"


def _reactions(told: Told) -> str:
    shown = [_reaction(key, one["count"], one["by"]) for key, one in told["reactions"].items()]
    return f"{word(told['message_id'])} {', '.join(shown) or 'none'}"


def _reaction(key: str, count: int, by: list[str]) -> str:
    others = [f"{count - len(by)} more"] if count > len(by) else []
    return f"{word(key)} {word(count)} ({', '.join([*map(word, by), *others])})"


def _pin(told: Told) -> str:
    return f"{word(told['message_id'])} {'pinned' if told['pinned'] else 'unpinned'} by {word(told['by'])}"


def _read(told: Told) -> str:
    more = "more than " if told.get("unread_more") else ""
    marked = ", marked as unread" if told.get("marked_unread") else ""
    mark = f"up to {word(told['read_seq'])}, {more}{word(told['unread'])} unread{marked}"
    return f"{word(told['conversation_id'])} {mark}"


def _receipt(told: Told) -> str:
    verbs = {"delivered_seq": "has received up to", "read_seq": "has read up to"}
    marks = [f"{verb} {word(told[name])}" for name, verb in verbs.items() if told.get(name) is not None]
    return f"{word(told['conversation_id'])} {word(told['user_id'])} {', '.join(marks) or 'has no mark'}"


def _settings(told: Told) -> str:
    shown = [name for name in ("pinned", "archived") if told.get(name)]
    if until := told.get("muted_until"):
        shown.append(f"muted until {word(until)}")
    if cleared := told.get("cleared_seq"):
        shown.append(f"cleared up to {word(cleared)}")
    if draft := told.get("draft"):
        shown.append(f"draft {quoted(draft)}")
    return f"{word(told['conversation_id'])} {', '.join(shown) or 'none'}"


def _hidden(told: Told) -> str:
    return f"{word(told['message_id'])} deleted for you"


def _conversation(told: Told) -> str:
    change = told["change"]
    by, user = word(change["by"]), word(change.get("user_id") or change["by"])
    event = change["event"]
    sentences = {
        "created": f"{by} created {_title(told, 'it')}",
        "title": f"{by} changed the title to {_title(told, 'nothing')}",
        "picture": f"{by} changed the picture",
        "settings": f"{by} changed the settings: {_writers(told)}",
        "role": f"{by} changed the role of {user}{_of_member(told, user, 'role', ' to ')}",
        "muted": f"{by} changed until when {user} is muted{_of_member(told, user, 'muted_until', ': ')}",
        "added": f"{by} added {user}",
        "joined": f"{user} joined",
        "removed": f"{by} removed {user}",
        "left": f"{user} left",
        "owner": f"{user} is the owner now",
        "dissolved": f"{by} dissolved it",
    }
    known = sentences.get(event) if isinstance(event, str) else None
    return f"{word(told['conversation_id'])} {known or f'{word(event)} by {by}'}"


def _title(told: Told, otherwise: str) -> str:
    title = told.get("title")
    return otherwise if title is None else quoted(title)


def _writers(told: Told) -> str:
    return "only admins may write" if told.get("announcement_only") else "all members may write"


def _of_member(told: Told, user: str, field: str, before: str) -> str:
    """What the entry says of this member in the field, with something before it; empty without."""
    for member in told.get("members") or ():
        if word(member["user_id"]) == user and member.get(field) is not None:
            return before + word(member[field])
    return ""


_WORDS: Mapping[str, Callable[[Told], str]] = {
    "message": _message,
    "edit": _message,
    "recall": _message,
    "reactions": _reactions,
    "pin": _pin,
    "read": _read,
    "receipt": _receipt,
    "settings": _settings,
    "hidden": _hidden,
    "conversation": _conversation,
}
