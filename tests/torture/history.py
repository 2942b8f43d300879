"""The check: does what was seen agree with what was promised? Pure.

The rules, by the name under which a violation is reported:

    acknowledged   an acknowledged message is stored once, as it was sent, under the id that was answered
    unknown        the store holds no message that nobody sent
    delivered      a message is once in the timeline of each recipient, and in no other
    numbered       inbox numbers are 1, 2, 3 … without a hole
    member         nobody has what was sent before they joined or after they left, as seen from outside;
                   who was a member all the while has it
    received       what a connection brought begins after its cursor, and is the timeline
    pulled         what is pulled from 0 is the timeline, whatever the size of the pages
    ring           a ring is the end of its timeline, and not longer than its capacity
    same           members of a conversation with the same windows see the same list
    settled        when all is healed, everything comes to rest: sends, devices, outbox, lag
    dead letter    nothing was put aside
    refused        nobody was told what must never be said
    done           what was answered to an edit, a recall, a reaction and so on is in effect
    agreed         what each device knows by its entries alone is what the reads answer
    recalled       the text of a recalled message is in no ring and in no answer
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.torture import agreement, inboxes, membership
from tests.torture.facts import Facts, Place, Sending, StoredMessage, Violation


def violations(facts: Facts) -> list[Violation]:
    """Everything that is wrong, the nearest to a loss first."""
    rules = (
        acknowledged,
        unknown,
        delivered,
        numbered,
        membership.as_seen_from_outside,
        inboxes.received,
        inboxes.pulled,
        inboxes.rings,
        inboxes.same_for_all,
        settled,
        dead_letters,
        refused,
        agreement.done,
        agreement.agreed,
        agreement.recalled,
    )
    return [violation for rule in rules for violation in rule(facts)]


def by_name(facts: Facts) -> dict[str, list[tuple[Place, StoredMessage]]]:
    """client_message_id → where it is stored. The harness never uses one twice."""
    found: dict[str, list[tuple[Place, StoredMessage]]] = defaultdict(list)
    for place, stored in facts.messages.items():
        found[stored.client_message_id].append((place, stored))
    return found


def acknowledged(facts: Facts) -> Iterator[Violation]:
    stored = by_name(facts)
    for sending in facts.sendings:
        yield from _one_sending(sending, stored.get(sending.name, []))


def _one_sending(sending: Sending, found: list[tuple[Place, StoredMessage]]) -> Iterator[Violation]:
    rule, at = "acknowledged", sending.acknowledged_at
    if len(found) > 1:
        places = [place for place, _ in found]
        yield Violation(
            rule, f"{sending.name} is stored {len(found)} times: {places}", sending.sender, places[1], at
        )
    ids = {message_id for _, message_id in sending.answers}
    if len(ids) > 1:
        yield Violation(rule, f"{sending.name} was answered with {sorted(ids)}", sending.sender, None, at)
    if ids and not found:
        place = _place(next(iter(ids)))
        yield Violation(rule, f"{sending.name}, answered as {ids}, is not stored", sending.sender, place, at)
    for place, stored in found:
        if ids and stored.message_id not in ids:
            said = f"{sending.name} is stored as {stored.message_id}, answered as {sorted(ids)}"
            yield Violation(rule, said, sending.sender, place, at)
        asked = (sending.sender, sending.conversation_id, sending.text, ":".join(map(str, place)))
        if asked != (stored.sender, place[0], stored.text, stored.message_id):
            said = f"{sending.name} is stored with another sender, conversation, content or id"
            yield Violation(rule, said, sending.sender, place, at)


def _place(message_id: str) -> Place:
    conversation, _, seq = message_id.rpartition(":")
    return conversation, int(seq)


def unknown(facts: Facts) -> Iterator[Violation]:
    names = {sending.name for sending in facts.sendings}
    for place, stored in facts.messages.items():
        if stored.client_message_id not in names:
            yield Violation("unknown", f"nobody sent {stored.client_message_id}", stored.sender, place)


def delivered(facts: Facts) -> Iterator[Violation]:
    """Answered or not: what is stored is in the timelines of its recipients, once, and in no other."""
    have = {user: Counter(place for _, place in lines) for user, lines in facts.timelines.items()}
    stored = by_name(facts)
    at = {
        place: sending.acknowledged_at
        for sending in facts.sendings
        for place, _ in stored.get(sending.name, [])
    }
    for place in (*facts.messages, *facts.changes):
        for user in facts.recipients(place):
            count = have.get(user, Counter())[place]
            if count != 1:
                said = f"{_name(place)} is {count} times in the timeline of {user}"
                yield Violation("delivered", said, user, place, at.get(place))
    for user, places in have.items():
        for place in places:
            if facts.entry(place) is None:
                said = f"the timeline of {user} has {_name(place)}, which is not stored"
                yield Violation("delivered", said, user, place)
            elif user not in facts.recipients(place):
                said = f"the timeline of {user} has {_name(place)}, which is not theirs"
                yield Violation("delivered", said, user, place, at.get(place))


def numbered(facts: Facts) -> Iterator[Violation]:
    for user, lines in facts.timelines.items():
        for expected, (seq, place) in enumerate(lines, 1):
            if seq != expected:
                said = f"the inbox of {user} has {seq} where {expected} should be"
                yield Violation("numbered", said, user, place)
                break


def settled(facts: Facts) -> Iterator[Violation]:
    for sending in facts.sendings:
        if sending.unanswered:
            said = f"{sending.name} was repeated to the end and never answered"
            yield Violation("settled", said, sending.sender, None, sending.begun_at)
    for act in facts.acts:
        if act.unanswered:
            said = f"{act.kind} of {act.message_id or act.conversation_id} was never answered"
            yield Violation("settled", said, act.user, None, act.begun_at)
    for said in facts.unsettled:
        yield Violation("settled", said)
    for group, behind in facts.lag.items():
        if behind > 0:
            yield Violation("settled", f"the group {group} is {behind} records behind")
    for row in facts.outbox:
        # A row with a message that is not stored is kept for an hour: its process may only be paused.
        if all(facts.entry(place) for place in row.places):
            places = ", ".join(map(_name, row.places[:3]))
            said = f"the outbox still has {row.row_id}, whose messages are all stored: {places}"
            yield Violation("settled", said, "", row.places[0] if row.places else None)


def dead_letters(facts: Facts) -> Iterator[Violation]:
    for letter in facts.dead_letters:
        yield Violation("dead letter", letter)


def refused(facts: Facts) -> Iterator[Violation]:
    for at, said in facts.complaints:
        yield Violation("refused", said, at=at)
    for sending in facts.sendings:
        if sending.refused and not membership.may_be_refused(facts, sending):
            said = f"{sending.name} of {sending.sender} was refused: {sending.refused}"
            yield Violation("refused", said, sending.sender, None, sending.begun_at)


def _name(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
