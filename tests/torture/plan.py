"""The plan of a run: people, conversations, sends, changes of members, faults. Pure."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.torture.fault_plan import Fault, plan_faults, regular_faults
from tests.torture.options import Options

QUIET_S = 3.0
"""Nothing breaks in the first and last seconds of the traffic."""
BURST = 40
BURST_TEXT_BYTES = 48_000
ACTS_PER_SEND = 0.6
ACTS = {
    "edit": 20,
    "recall": 8,
    "react": 20,
    "unreact": 6,
    "pin": 6,
    "unpin": 4,
    "reply": 6,
    "forward": 5,
    "hide": 4,
    "read": 12,
    "unread": 3,
    "settings": 10,
}
"""What people do beside sending, and how often."""

AT_ONCE = 0.3
"""So many do it on two devices at the same moment."""


class Stay(NamedTuple):
    """A device online: from when, how long, at which API first. `deaf_s`: so long it does not read.
    `back`: it forgot its last entries, and asks for them again."""

    at_s: float
    lasts_s: float
    api: int
    deaf_s: float = 0.0
    back: int = 0


class DevicePlan(NamedTuple):
    name: str
    kind: str
    """`socket`, or `pull`: one that only pulls."""
    stays: tuple[Stay, ...]


class Person(NamedTuple):
    user: str
    devices: tuple[DevicePlan, ...]


class ConversationPlan(NamedTuple):
    """The first member opens it (and owns a group)."""

    kind: str
    members: tuple[str, ...]
    strangers: tuple[str, ...] = ()
    """Those who come and go; some are members at first."""


class Send(NamedTuple):
    """`how`: `patient` repeats until answered; `impatient` is given up after `patience_s` and never
    repeated; `twice` goes to both APIs at once; `again` is repeated long after its answer."""

    at_s: float
    conversation: int
    sender: str
    via: str
    api: int
    text_bytes: int
    how: str
    patience_s: float = 0.0


class Change(NamedTuple):
    at_s: float
    conversation: int
    user: str
    join: bool
    api: int


class Act(NamedTuple):
    """What somebody does beside sending, by its kind (`ACTS`). `lot` draws the message, and what is said."""

    at_s: float
    kind: str
    conversation: int
    user: str
    api: int
    lot: float


class Plan(NamedTuple):
    people: tuple[Person, ...]
    conversations: tuple[ConversationPlan, ...]
    sends: tuple[Send, ...]
    changes: tuple[Change, ...]
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]


def make_plan(options: Options) -> Plan:
    """Traffic does not depend on the modes, nor faults on the traffic's randomness: the same seed with
    another mode has the same people and sends."""

    def rng(what: str) -> random.Random:
        return random.Random(f"{options.seed}/{what}")

    users = tuple(f"user-{number:02}" for number in range(options.users))
    conversations = _conversations(rng("conversations"), users)
    deaf = _deaf(rng("deaf"), options, users)
    people = tuple(_person(rng(user), options, user, deaf.get(user)) for user in users)
    sends = _sends(rng("sends"), options, conversations, deaf)
    changes = _changes(rng("changes"), options, conversations)
    acts = _acts(rng("acts"), options, conversations)
    faults = _faults(options, rng("faults"))
    return Plan(people, conversations, sends, changes, acts, faults)


def _conversations(rng: random.Random, users: tuple[str, ...]) -> tuple[ConversationPlan, ...]:
    made = []
    for _ in range(max(2, len(users) // 4)):
        size = min(len(users) - 1, rng.randint(4, 11))
        chosen = rng.sample(users, size)
        strangers = tuple(chosen[-rng.randint(1, 3) :])
        members = tuple(user for user in chosen if user not in strangers or rng.random() < 0.5)
        made.append(ConversationPlan("group", members, strangers))
    pairs = {tuple(sorted(rng.sample(users, 2))) for _ in range(2 * len(users))}
    made += [ConversationPlan("direct", pair) for pair in sorted(pairs)]
    made += [ConversationPlan("direct", (users[-1], users[-1]))]
    return tuple(made)


def _deaf(rng: random.Random, options: Options, users: tuple[str, ...]) -> dict[str, float]:
    """User → when one of their devices stops reading for a while, and much is sent to them."""
    span = options.seconds - 2 * QUIET_S - 8
    count = min(len(users), max(1, round(options.seconds / 40))) if span > 0 else 0
    return {user: QUIET_S + rng.random() * span for user in rng.sample(users, count)}


def _person(rng: random.Random, options: Options, user: str, deaf_at: float | None) -> Person:
    pulls = deaf_at is None and rng.random() < 0.2
    names = ("phone", "desk", "tablet")[: rng.randint(2, 3)]
    devices = []
    for number, name in enumerate(names):
        if deaf_at is not None and number == 0:
            stays: tuple[Stay, ...] = (
                Stay(0.0, deaf_at - 0.5, rng.randrange(2)),
                Stay(deaf_at - 0.4, 14.0, rng.randrange(2), deaf_s=12.0),
            )
        else:
            stays = _stays(rng, options.seconds)
        devices.append(DevicePlan(name, "pull" if pulls or rng.random() < 0.1 else "socket", stays))
    return Person(user, tuple(devices))


def _stays(rng: random.Random, seconds: float) -> tuple[Stay, ...]:
    """Short and long ones, with short and long absences between."""
    stays = []
    at = rng.random() * 2
    while at < seconds:
        lasts = rng.uniform(0.3, 3.0) if rng.random() < 0.5 else rng.uniform(3.0, 15.0)
        back = rng.randint(1, 80) if rng.random() < 0.1 else 0
        stays.append(Stay(at, lasts, rng.randrange(2), back=back))
        long_gone = rng.random() < 0.1
        at += lasts + (rng.uniform(0.2, 0.5) * seconds if long_gone else rng.uniform(0.0, 1.5))
    return tuple(stays)


def _sends(
    rng: random.Random,
    options: Options,
    conversations: tuple[ConversationPlan, ...],
    deaf: dict[str, float],
) -> tuple[Send, ...]:
    groups = [number for number, it in enumerate(conversations) if it.kind == "group"]
    sends = []
    at = rng.expovariate(options.rate)
    while at < options.longest_s:
        number = rng.choice(groups) if rng.random() < 0.4 else rng.randrange(len(conversations))
        sends.append(_send(rng, at, number, conversations[number]))
        at += rng.expovariate(options.rate)
    for user, moment in deaf.items():
        number, other = _partner(conversations, user)
        for place in range(BURST):
            when = moment + 0.5 + place * 0.05
            sends.append(Send(when, number, other, "http", place % 2, BURST_TEXT_BYTES, "patient"))
    return tuple(sorted(sends))


def _send(rng: random.Random, at: float, number: int, conversation: ConversationPlan) -> Send:
    strangers, steady = conversation.strangers, set(conversation.members) - set(conversation.strangers)
    sender = rng.choice(strangers if strangers and rng.random() < 0.1 else sorted(steady))
    via = "socket" if rng.random() < 0.4 else "http"
    text_bytes = rng.randint(2_000, 20_000) if rng.random() < 0.02 else rng.randint(1, 200)
    how = rng.choices(("patient", "impatient", "twice", "again"), (82, 8, 6, 4))[0]
    patience_s = rng.uniform(0.002, 0.08) if how == "impatient" else 0.0
    return Send(at, number, sender, via, rng.randrange(2), text_bytes, how, patience_s)


def _partner(conversations: tuple[ConversationPlan, ...], user: str) -> tuple[int, str]:
    """A conversation of the user, and another of its steady members (else the user)."""
    for number, it in enumerate(conversations):
        others = [m for m in it.members if m != user and m not in it.strangers]
        if it.kind == "direct" and user in it.members and others:
            return number, others[0]
    for number, it in enumerate(conversations):
        if user in it.members and user not in it.strangers:
            return number, user
    return len(conversations) - 1, conversations[-1].members[0]


def _changes(
    rng: random.Random, options: Options, conversations: tuple[ConversationPlan, ...]
) -> tuple[Change, ...]:
    changes = []
    for number, it in enumerate(conversations):
        for user in it.strangers:
            inside = user in it.members
            at = rng.uniform(0.5, 8.0)
            while at < options.longest_s:
                inside = not inside
                changes.append(Change(at, number, user, inside, rng.randrange(2)))
                at += rng.uniform(0.3, 12.0)
    return tuple(sorted(changes))


def _acts(
    rng: random.Random, options: Options, conversations: tuple[ConversationPlan, ...]
) -> tuple[Act, ...]:
    acts = []
    rate = options.rate * ACTS_PER_SEND
    at = rng.expovariate(rate)
    while at < options.longest_s:
        (kind,) = rng.choices(tuple(ACTS), tuple(ACTS.values()))
        number = rng.randrange(len(conversations))
        it = conversations[number]
        strangers, steady = it.strangers, sorted(set(it.members) - set(it.strangers))
        user = rng.choice(strangers if strangers and rng.random() < 0.1 else steady)
        if it.kind == "group" and (kind in {"pin", "unpin"} or (kind == "recall" and rng.random() < 0.5)):
            user = it.members[0]
        api = rng.randrange(2)
        acts.append(Act(at, kind, number, user, api, rng.random()))
        if rng.random() < AT_ONCE:
            acts.append(Act(at, kind, number, user, 1 - api, rng.random()))
        at += rng.expovariate(rate)
    return tuple(acts)


def _faults(options: Options, rng: random.Random) -> tuple[Fault, ...]:
    begin_s, end_s = QUIET_S, options.longest_s - QUIET_S
    if options.every_s is None:
        faults = plan_faults(rng, options.modes, begin_s, end_s)
    else:
        faults = regular_faults(rng, options.modes, begin_s, end_s, options.every_s)
    if options.lasts_s is not None:
        faults = tuple(fault._replace(lasts_s=options.lasts_s) for fault in faults)
    return faults
