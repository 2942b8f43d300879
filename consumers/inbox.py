"""inbox: writes each message to the recipients' timelines, then to their rings, then to `arrivals`.

An edit or a recall also replaces the content that rings hold, so that it is not handed out again. For those
who have left the conversation, the message itself comes again with its new content.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Raw
from msgspec.structs import replace

from consumers.behind import Behind
from consumers.loop import Taken
from consumers.pace import Pace
from consumers.timeline_writer import TimelineWriter, Wanted
from domain.entries import Entry, carried_message, has_new_content, with_message
from domain.errors import Unavailable
from domain.events import ARRIVAL_RECORDS, DELIVERY_RECORDS, Arrival, Broken, Delivery, gateway_bytes
from domain.ids import ConversationId, UserId
from domain.limits import GATEWAYS_BYTES
from infra.crash import crash_point
from infra.kafka.publisher import Publisher, Record
from infra.kafka.topics import ARRIVALS, DELIVERIES
from infra.mongo.contents import Contents
from infra.mongo.rows import Place
from infra.redis.ring import Ring
from infra.telemetry.logs import logger
from infra.telemetry.names import INBOX_S

Places = tuple[tuple[UserId, int], ...]
"""Users with the inbox number that a message has in their timelines."""


class _Changed(NamedTuple):
    """A message that was edited or recalled, as it is now.

    `seqs` are those of all entries that carry it: its own first, then its edits. `held` has the numbers of
    those that the timelines of the users have already.
    """

    conversation_id: ConversationId
    seqs: Sequence[int]
    message: bytes
    held: dict[UserId, dict[int, int]]


class Inbox:
    """Store, then sync, then push (I2). A delivery that is handled again changes no timeline and no ring.

    Of an edit or a recall it reads the message as it is now, because the delivery may be late. If the message
    itself is later still, its line is written first: when its delivery comes, it is there already. So no late
    delivery brings old content back into a ring.

    Without Redis it goes on: it writes timelines and arrivals, and remembers whose rings missed an entry.
    """

    group = "inbox"
    topic = DELIVERIES

    def __init__(
        self, timelines: TimelineWriter, contents: Contents, ring: Ring, behind: Behind, publisher: Publisher
    ) -> None:
        self._timelines = timelines
        self._contents = contents
        self._ring = ring
        self._behind = behind
        self._publisher = publisher
        self.pace = Pace()

    def decode(self, value: bytes) -> Sequence[Delivery | Broken]:
        return DELIVERY_RECORDS.decode(value)

    def encode(self, event: Delivery) -> bytes:
        return DELIVERY_RECORDS.encode([event])

    async def handle(self, batch: Sequence[Taken[Delivery]]) -> Awaitable[object]:
        began = time.perf_counter()
        changed = await self._changed([d for _, d in batch if has_new_content(bytes(d.message))])
        batch = [Taken(partition, _with_content(d, changed)) for partition, d in batch] if changed else batch
        late = list(_late(changed.values()))
        wanted = [
            *(one for one, _ in late),
            *(Wanted(u, d.conversation_id, d.seq) for _, d in batch for u in d.to),
        ]
        numbers = await self._timelines.append(wanted)
        crash_point("timeline")
        entries: dict[UserId, dict[int, bytes]] = {}
        places: list[Places] = []
        numbered = iter(numbers[len(late) :])
        for _, delivery in batch:
            message = bytes(delivery.message)
            to = tuple([(user, next(numbered)) for user in delivery.to])
            for user, seq in to:
                entries.setdefault(user, {})[seq] = message
            places.append(to)
        for (one, message), seq in zip(late, numbers, strict=False):
            entries[one.user_id][seq] = message
        replaced = list(_replaced(changed.values(), wanted, numbers)) if changed else []
        gateways = await self._append(entries, replaced, batch)
        crash_point("ring")
        receipt = await self._publisher.enqueue(_records(batch, places, gateways))
        crash_point("arrivals")
        worked_s = time.perf_counter() - began
        self.pace.took(len(wanted), worked_s)
        INBOX_S.observe(worked_s)
        return receipt.confirmed()

    async def _changed(self, changes: Sequence[Delivery]) -> dict[Place, _Changed]:
        """What these messages say now. Reads the store twice, and the timelines once for each of them."""
        if not changes:
            return {}
        contents = await self._contents.of((d.conversation_id, d.seq) for d in changes)
        changed: dict[Place, _Changed] = {}
        for delivery in changes:
            place = (delivery.conversation_id, delivery.seq)
            if place not in contents:
                continue  # never seen: it is stored before it comes here
            seqs = contents[place].replaces
            known = changed.get(place)  # a large group has several deliveries
            held: dict[UserId, dict[int, int]] = known.held if known else {}
            held |= {user: {} for user in delivery.to}
            for line in await self._timelines.find(delivery.to, delivery.conversation_id, seqs):
                held[line.user_id][line.seq] = line.inbox_seq
            message = carried_message(contents[place].carried)
            changed[place] = _Changed(delivery.conversation_id, seqs, message, held)
        return changed

    async def _append(
        self,
        entries: Mapping[UserId, Mapping[int, bytes]],
        replaced: Sequence[tuple[UserId, Sequence[int], bytes]],
        batch: Sequence[Taken[Delivery]],
    ) -> Mapping[UserId, Sequence[str]] | None:
        """Put the entries into the rings, and replace content there. Returns the gateways of each user.

        Returns None if Redis did not answer. Then it is durable which rings may lack an entry.
        """
        try:
            gateways = await self._ring.append(
                [(user, run) for user, some in entries.items() for run in _runs(some)]
            )
            if replaced:
                crash_point("replacing")
                await self._ring.replace(replaced)
            return gateways
        except Unavailable as error:
            await self._behind.mark({user: partition for partition, d in batch for user in d.to})
            logger().warning("could not write rings", users=len(entries), error=error.message)
            return None


def _with_content(delivery: Delivery, changed: Mapping[Place, _Changed]) -> Delivery:
    """A message that was changed, or its change, with the content of now. Others stay as they came."""
    now = changed.get((delivery.conversation_id, delivery.seq))
    if now is None:
        return delivery
    return replace(delivery, message=Raw(with_message(bytes(delivery.message), now.message)))


def _late(changed: Iterable[_Changed]) -> Iterator[tuple[Wanted, bytes]]:
    """The messages that users lack whose change they get."""
    for one in changed:
        for user, held in one.held.items():
            if one.seqs[0] not in held:
                yield Wanted(user, one.conversation_id, one.seqs[0]), one.message


def _replaced(
    changed: Iterable[_Changed], wanted: Sequence[Wanted], numbers: Sequence[int]
) -> Iterator[tuple[UserId, list[int], bytes]]:
    """The entries of each user that carry a message, with the content of now."""
    numbered = dict(zip(wanted, numbers, strict=True))
    for one in changed:
        for user, held in one.held.items():
            news = {seq: numbered.get(Wanted(user, one.conversation_id, seq)) for seq in one.seqs}
            seqs = held | {seq: number for seq, number in news.items() if number is not None}
            yield user, list(seqs.values()), one.message


def _records(
    batch: Sequence[Taken[Delivery]],
    places: Sequence[Places],
    gateways: Mapping[UserId, Sequence[str]] | None,
) -> list[Record]:
    """One record of arrivals for each partition, or more if the messages are large."""
    arrivals: dict[int, list[Arrival]] = {}
    for (partition, delivery), to in zip(batch, places, strict=True):
        where = None if gateways is None else _online(to, gateways)
        arrival = Arrival(delivery.conversation_id, delivery.seq, to, delivery.message, where)
        arrivals.setdefault(partition, []).append(arrival)
    return [
        Record(ARRIVALS, partition, b"%d" % partition, value)
        for partition, some in arrivals.items()
        for value in ARRIVAL_RECORDS.encode_all(some)
    ]


def _online(to: Places, gateways: Mapping[UserId, Sequence[str]]) -> dict[str, list[int]] | None:
    """Gateway → the places in `to` of its users. None if this is too large for a record: then push looks up
    where the users are.
    """
    found: dict[str, list[int]] = {}
    for place, (user, _) in enumerate(to):
        for gateway in gateways[user]:
            found.setdefault(gateway, []).append(place)
    return found if gateway_bytes(found) <= GATEWAYS_BYTES else None


def _runs(entries: Mapping[int, bytes]) -> Iterator[list[Entry]]:
    """The entries in order, in runs of consecutive numbers."""
    run: list[Entry] = []
    for seq in sorted(entries):
        if run and seq != run[-1].seq + 1:
            yield run
            run = []
        run.append(Entry(seq, entries[seq]))
    yield run
