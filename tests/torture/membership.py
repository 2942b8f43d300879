"""Who had to get a message and who must not have it, by what was seen from outside alone. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.torture.facts import FOR_EVER, Changing, Facts, Place, Sending, Violation


class _Presence:
    """One user in one conversation. A change takes effect at some moment of its interval; one that may
    have been lost takes effect there or never."""

    def __init__(self, first: bool, changes: list[Changing]) -> None:
        self._first = first
        self._changes = changes

    def during(self, begun_at: float, answered_at: float) -> bool | None:
        """In for all of that time, out for all of it, or (None) it cannot be known."""
        done = [change for change in self._changes if change.ended_at < begun_at]
        sure = [change for change in done if not change.maybe]
        last_begun = max((change.begun_at for change in sure), default=float("-inf"))
        possible = {change.join for change in done if change.ended_at >= last_begun}
        if not sure:
            possible.add(self._first)
        possible |= {
            change.join
            for change in self._changes
            if change.begun_at <= answered_at and change.ended_at >= begun_at
        }
        return possible.pop() if len(possible) == 1 else None


def presences(facts: Facts) -> dict[tuple[str, str], _Presence]:
    """By conversation and user: everyone who ever was a member or was made one."""
    changes: dict[tuple[str, str], list[Changing]] = defaultdict(list)
    for conversation, users in facts.first_members.items():
        for user in users:
            changes[conversation, user] = []
    for change in facts.changings:
        changes[change.conversation_id, change.user].append(change)
    return {
        (conversation, user): _Presence(user in facts.first_members.get(conversation, ()), some)
        for (conversation, user), some in changes.items()
    }


def as_seen_from_outside(facts: Facts) -> Iterator[Violation]:
    """For every message that was acknowledged: its sending is an interval, so is each change of members."""
    have = {user: {place for _, place in lines} for user, lines in facts.timelines.items()}
    places = {stored.client_message_id: place for place, stored in facts.messages.items()}
    members: dict[str, list[tuple[str, _Presence]]] = defaultdict(list)
    for (conversation, user), presence in presences(facts).items():
        members[conversation].append((user, presence))
    for sending in facts.sendings:
        place = places.get(sending.name)
        if place is not None:
            for user, presence in members[sending.conversation_id]:
                yield from _one(sending, place, user, presence, place in have.get(user, ()))


def _one(sending: Sending, place: Place, user: str, presence: _Presence, has: bool) -> Iterator[Violation]:
    answered = sending.acknowledged_at
    inside = presence.during(sending.begun_at, FOR_EVER if answered is None else answered)
    name = f"{place[0]}:{place[1]}"
    if inside is True and answered is not None and not has:
        said = f"{user} was a member when {name} was sent, and does not have it"
        yield Violation("member", said, user, place, answered)
    if inside is False and has:
        said = f"{user} has {name}, and was no member when it was sent"
        yield Violation("member", said, user, place, answered)


def may_be_refused(facts: Facts, sending: Sending) -> bool:
    """Forbidden is right for one who was not a member for all of the time."""
    if sending.refused != "forbidden":
        return False
    presence = presences(facts).get((sending.conversation_id, sending.sender))
    return presence is None or presence.during(sending.begun_at, sending.refused_at) is not True
