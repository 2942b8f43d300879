"""A small history in which all is well, for tests to spoil."""

from __future__ import annotations

from tests.replica import Replica, shown
from tests.torture.facts import (
    FOR_EVER,
    Acting,
    Changing,
    Connection,
    Facts,
    Got,
    Place,
    Pulled,
    Sending,
    StoredChange,
    StoredMessage,
    View,
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
    facts.connections = [one for one in facts.connections if one.user != user]
    facts.pulls = [one for one in facts.pulls if one.user != user]
    facts.timelines[user] = list(enumerate(places, 1))
    entries = [Got(seq, *(facts.entry(place) or (0, 0))) for seq, place in facts.timelines[user]]
    for device in ("phone", "desk"):
        first, rest = entries[:2], entries[2:]
        facts.connections.append(Connection(user, device, "api-1", 1.0, 0, first))
        facts.connections.append(Connection(user, device, "api-2", 9.0, len(first), rest))
        facts.devices[user, device] = len(entries)
    facts.pulls += [Pulled(user, 7, list(entries)), Pulled(user, 200, list(entries))]
    facts.rings[user] = entries[-CAPACITY:]
    facts.ring_ends[user] = len(entries)


def with_changes() -> Facts:
    """The same, and Ann has edited her message to Bob, to which he reacted; Bob has recalled his second one,
    read and hidden Ann's, and has a draft. His devices know it by their entries."""
    facts = made_up()
    name, other = f"{PAIR}:1", f"{GROUP}:4"
    now = {
        "message_id": name,
        "sender_id": "ann",
        "rev": 2,
        "body": {"text": "edited"},
        "reactions": {":ok:": {"count": 1, "by": ["bob"]}},
    }
    gone = {"message_id": other, "sender_id": "bob", "rev": 8, "recalled": {"by": "bob", "at": "now"}}
    draft = {"conversation_id": PAIR, "draft": "later", "pinned": False, "archived": False, "rev": 2}
    facts.messages[PAIR, 1] = facts.messages[PAIR, 1]._replace(edits=(2,), hidden_for=("ann",))
    facts.messages[GROUP, 4] = facts.messages[GROUP, 4]._replace(recalled=True)
    facts.changes = {
        (PAIR, 2): StoredChange("edit", 1, 102),
        (PAIR, 3): StoredChange("reactions", 1, 103),
        (GROUP, 8): StoredChange("recall", 4, 108),
        ("u:bob", 1): StoredChange("read", 0, 201),
        ("u:bob", 2): StoredChange("settings", 0, 202),
    }
    for user in ("ann", "bob"):
        mine = [place for place in facts.changes if user in facts.recipients(place)]
        lines = [line for _, line in facts.timelines[user]] + mine
        _inbox(facts, user, lines)
    replica = Replica("bob")
    replica.take("edit", now)
    replica.take("recall", gone)
    replica.take("read", {"conversation_id": PAIR, "read_seq": 1, "marked_unread": False, "rev": 1})
    replica.take("settings", draft)
    facts.replicas["bob", "phone"] = replica
    facts.views["bob"] = {
        PAIR: View(replica.me(PAIR), {name: shown(now)}, []),
        GROUP: View(replica.me(GROUP), {other: shown(gone)}, []),
    }
    facts.seen = {"the ring of bob": {"m0"}, "the history of bob": {"m1"}}
    facts.acts = [
        Acting("edit", "ann", PAIR, name, {}, 14.0, {"rev": 2}, done=True),
        Acting("react", "bob", PAIR, name, {"key": ":ok:"}, 15.0, done=True),
        Acting("recall", "bob", GROUP, other, {}, 16.0, done=True),
        Acting("hide", "ann", PAIR, name, {}, 17.0, done=True),
        Acting("read", "bob", PAIR, name, {"seq": 1}, 18.0, done=True),
        Acting("settings", "bob", PAIR, "", {}, 19.0, done=True),
        Acting("edit", "bob", PAIR, name, {}, 20.0, refused="conflict"),
    ]
    return facts
