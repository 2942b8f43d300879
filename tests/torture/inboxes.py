"""Every view of an inbox is the same inbox: sockets, pulls, rings, and the timeline in the store. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.torture.facts import Connection, Facts, Got, Place, Violation


def timeline(facts: Facts, user: str) -> list[Got]:
    """The inbox as the store has it; 0 stands for a message that is not there."""
    return [Got(seq, *(facts.entry(place) or (0, 0))) for seq, place in facts.timelines.get(user, [])]


def _fault(expected: list[Got], after: int, got: list[Got]) -> str:
    """What is wrong with entries that should be those after a number; empty if nothing is."""
    seqs = [one.seq for one in got]
    for number, one in enumerate(got, after + 1):
        if one.seq != number:
            what = "again" if one.seq in seqs[: number - after - 1] or one.seq <= after else "instead"
            return f"{one.seq} came {what} where {number} was due"
        if one.seq > len(expected):
            return f"{one.seq} came, and the inbox ends at {len(expected)}"
        if not one.fits(expected[one.seq - 1]):
            return f"{one.seq} came with another content"
    return ""


def _place(facts: Facts, user: str, said: str) -> Place | None:
    seq = int(said.split(" ", 1)[0])
    lines = facts.timelines.get(user, [])
    return lines[seq - 1][1] if 0 < seq <= len(lines) else None


def received(facts: Facts) -> Iterator[Violation]:
    """Each connection by itself, and all of a device's together: everything up to the end of the inbox."""
    inboxes = {user: timeline(facts, user) for user, _ in facts.devices}
    covered: dict[tuple[str, str], set[int]] = defaultdict(set)
    for connection in facts.connections:
        covered[connection.user, connection.device].update(one.seq for one in connection.entries)
        yield from _connection(facts, connection, inboxes[connection.user])
    for (user, device), cursor in facts.devices.items():
        head = len(inboxes[user])
        if cursor != head:
            said = f"{device} of {user} ended at {cursor}, the inbox at {head}"
            yield Violation("received", said, user)
        missed = sorted(set(range(1, head + 1)) - covered[user, device])
        if missed:
            said = f"{device} of {user} never got {len(missed)} entries, the first {missed[0]}"
            yield Violation("received", said, user, facts.timelines[user][missed[0] - 1][1])


def _connection(facts: Facts, connection: Connection, inbox: list[Got]) -> Iterator[Violation]:
    fault = _fault(inbox, connection.cursor, connection.entries)
    if fault:
        user = connection.user
        said = f"{connection.device} of {user} at {connection.api}, from {connection.cursor}: {fault}"
        yield Violation("received", said, user, _place(facts, user, fault), connection.at)


def pulled(facts: Facts) -> Iterator[Violation]:
    for user, limit, entries in facts.pulls:
        inbox = timeline(facts, user)
        fault = _fault(inbox, 0, entries)
        if not fault and len(entries) < len(inbox):
            fault = f"{len(entries)} came last, and the inbox ends at {len(inbox)}"
        if fault:
            said = f"{user} pulled by {limit}: {fault}"
            yield Violation("pulled", said, user, _place(facts, user, fault))


def _is_end_of(inbox: list[Got], ring: list[Got]) -> bool:
    """A ring that is not empty, and no longer than the inbox."""
    end = inbox[-len(ring) :] if ring else []
    return len(end) == len(ring) and all(one.fits(other) for one, other in zip(ring, end, strict=True))


def rings(facts: Facts) -> Iterator[Violation]:
    for user, ring in facts.rings.items():
        inbox = timeline(facts, user)
        if len(ring) > facts.capacity:
            said = f"the ring of {user} holds {len(ring)} entries, more than {facts.capacity}"
            yield Violation("ring", said, user)
        end = facts.ring_ends[user]
        if end != len(inbox) or not _is_end_of(inbox, ring):
            first = ring[0].seq if ring else end + 1
            said = f"the ring of {user}, {first} to {end}, is not the end of the inbox, which is {len(inbox)}"
            yield Violation("ring", said, user)


def same_for_all(facts: Facts) -> Iterator[Violation]:
    """What each device received, by conversation and in the order of its seqs."""
    lists: dict[tuple[str, object], dict[tuple[str, str], list[tuple[int, int]]]] = defaultdict(dict)
    seen: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for connection in facts.connections:
        seen[connection.user, connection.device].update((one.seq, one.message) for one in connection.entries)
    for (user, device), entries in seen.items():
        by_conversation: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for seq, (conversation, number) in facts.timelines.get(user, []):
            if seq in entries:
                by_conversation[conversation].append((number, entries[seq]))
        for conversation, shown in by_conversation.items():
            windows = tuple(facts.windows.get(conversation, {}).get(user, []))
            lists[conversation, windows][user, device] = sorted(shown)
    for (conversation, _), by_device in lists.items():
        (first, wanted), *others = by_device.items()
        for other, shown in others:
            if shown != wanted:
                said = f"{conversation} looks different on {'/'.join(first)} and {'/'.join(other)}"
                yield Violation("same", said, other[0])
