"""A small history in which all is well, for tests to spoil."""

from __future__ import annotations

from tests.torture.facts import (
    FOR_EVER,
    Changing,
    Connection,
    Facts,
    Got,
    Place,
    Pulled,
    Sending,
    StoredMessage,
    digest,
)

GROUP = "g:aaaaaaaaaaaaaaaa"
PAIR = "d:ann:bob"
CAPACITY = 3


def bytes_of(place: Place) -> bytes:
    return f"message at {place}".encode()


def message(place: Place) -> int:
    return digest(bytes_of(place))


def made_up() -> Facts:
    """Ann, Bob and Cem; Cem joins the group after its second message (seconds 10 to 11) and leaves after its
    fourth (20 to 21). Every message is sent in the second that is its number in this list, and answered half
    a second later."""
    facts = Facts(capacity=CAPACITY)
    sent: list[tuple[str, Place, float]] = [
        ("ann", (GROUP, 1), 1.0),
        ("bob", (GROUP, 2), 2.0),
        ("ann", (PAIR, 1), 3.0),
        ("bob", (GROUP, 4), 12.0),
        ("ann", (GROUP, 5), 13.0),
        ("ann", (GROUP, 7), 22.0),
    ]
    facts.first_members = {GROUP: {"ann", "bob"}, PAIR: {"ann", "bob"}}
    facts.windows = {
        GROUP: {"ann": [(1, FOR_EVER)], "bob": [(1, FOR_EVER)], "cem": [(3, 6)]},
        PAIR: {"ann": [(1, FOR_EVER)], "bob": [(1, FOR_EVER)]},
    }
    facts.changings = [
        Changing(GROUP, "cem", True, 10.0, 11.0),
        Changing(GROUP, "cem", False, 20.0, 21.0),
    ]
    for number, (sender, place, at) in enumerate(sent):
        name, text, message_id = f"m{number}", f"text {number}", f"{place[0]}:{place[1]}"
        facts.sendings.append(Sending(name, place[0], sender, text, at, [(at + 0.5, message_id)]))
        facts.messages[place] = StoredMessage(sender, name, message_id, text, message(place))
    for user in ("ann", "bob", "cem"):
        _inbox(facts, user, [place for _, place, _ in sent if user in facts.recipients(place)])
    facts.lag = {"inbox": 0, "push": 0}
    return facts


def _inbox(facts: Facts, user: str, places: list[Place]) -> None:
    facts.timelines[user] = list(enumerate(places, 1))
    entries = [Got(seq, message(place)) for seq, place in facts.timelines[user]]
    for device in ("phone", "desk"):
        first, rest = entries[:2], entries[2:]
        facts.connections.append(Connection(user, device, "api-1", 1.0, 0, first))
        facts.connections.append(Connection(user, device, "api-2", 9.0, len(first), rest))
        facts.devices[user, device] = len(entries)
    facts.pulls += [Pulled(user, 7, list(entries)), Pulled(user, 200, list(entries))]
    facts.rings[user] = entries[-CAPACITY:]
    facts.ring_ends[user] = len(entries)
