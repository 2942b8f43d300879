"""Changes and own state: they are in effect, all devices agree, and nothing recalled is left. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.torture.facts import Acting, Facts, Place, StoredMessage, Violation

SHOWN_DIFFERENCES = 3
"""So many messages are named where a device and a read differ."""


def done(facts: Facts) -> Iterator[Violation]:
    """What was answered with success, and cannot be undone by something else, is there at the end."""
    stored = {one.message_id: (place, one) for place, one in facts.messages.items()}
    for act in facts.acts:
        if act.done:
            place, message = stored.get(act.message_id, (None, None))
            if fault := _undone(facts, act, message):
                said = f"{act.kind} of {act.message_id or act.conversation_id} by {act.user}: {fault}"
                yield Violation("done", said, act.user, place, act.begun_at)
    yield from _reactions(facts)


def _undone(facts: Facts, act: Acting, message: StoredMessage | None) -> str:
    view = facts.views.get(act.user, {}).get(act.conversation_id)
    match act.kind:
        case "edit":
            if message is None or not (message.recalled or act.answer["rev"] in message.edits):
                return f"the edit {act.answer.get('rev')} is not in effect"
        case "recall":
            if message is None or not message.recalled:
                return "it is not recalled"
        case "hide":
            if message is None or act.user not in message.hidden_for:
                return "it is not hidden"
        case "read":
            if view is not None and view.me["read_seq"] < act.asked["seq"]:
                return f"the mark is at {view.me['read_seq']} and not at {act.asked['seq']}"
    return ""


def _reactions(facts: Facts) -> Iterator[Violation]:
    """A reaction that nobody took back is there, unless the message was recalled."""
    given: dict[tuple[str, str, str], list[Acting]] = defaultdict(list)
    for act in facts.acts:
        if act.kind in {"react", "unreact"}:
            given[act.user, act.message_id, act.asked["key"]].append(act)
    for (user, name, key), acts in given.items():
        kinds = {act.kind for act in acts if act.done or act.unanswered}
        view = facts.views.get(user, {}).get(acts[0].conversation_id)
        message = view.messages.get(name) if view else None
        if kinds != {"react"} or message is None or message["recalled"]:
            continue
        if user not in message["reactions"].get(key, (0, []))[1]:
            yield Violation("done", f"the reaction {key} of {user} to {name} is not there", user)


def agreed(facts: Facts) -> Iterator[Violation]:
    """Of conversations in which the user was all the time: who comes and goes reads them anew."""
    for (user, device), replica in facts.replicas.items():
        for conversation, view in facts.views.get(user, {}).items():
            if user not in facts.always_there(conversation):
                continue
            who = f"{device} of {user} in {conversation}"
            yield from _unlike(f"{who}: own state", user, replica.me(conversation), view.me)
            yield from _unlike(f"{who}: messages", user, replica.history(conversation), view.messages)
            if replica.pins(conversation) != view.pins:
                said = f"{who}: pins {replica.pins(conversation)}, and the API says {view.pins}"
                yield Violation("agreed", said, user)


def _unlike(who: str, user: str, mine: dict[str, Any], theirs: dict[str, Any]) -> Iterator[Violation]:
    differing = [name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)]
    for name in sorted(differing)[:SHOWN_DIFFERENCES]:
        said = f"{who}: {name} is {_short(mine.get(name))}, and the API says {_short(theirs.get(name))}"
        yield Violation("agreed", said, user, _place(name))


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 200 else f"{said[:200]}…"


def _place(name: str) -> Place | None:
    conversation, _, seq = name.rpartition(":")
    return (conversation, int(seq)) if conversation else None


def recalled(facts: Facts) -> Iterator[Violation]:
    gone = {one.client_message_id: place for place, one in facts.messages.items() if one.recalled}
    for where, names in facts.seen.items():
        for name in sorted(names & gone.keys())[:SHOWN_DIFFERENCES]:
            said = f"the text of {name}, which was recalled, stands in {where}"
            yield Violation("recalled", said, "", gone[name])
