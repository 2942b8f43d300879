"""I4, I5: a ring that missed an entry while Redis did not answer does not stay, whoever dies meanwhile."""

from __future__ import annotations

import pytest
from msgspec import Raw

from api.sync import Sync
from consumers.behind import Behind
from consumers.inbox import Inbox
from consumers.loop import Taken
from consumers.timeline_writer import TimelineWriter
from domain.errors import Unavailable
from domain.events import Delivery
from domain.ids import inbox_partition
from infra.mongo.behind import BehindStore
from infra.mongo.contents import Contents
from infra.mongo.messages import MessageStore
from infra.mongo.timelines import TimelineStore
from infra.redis.ring import Ring
from tests.builders import PARTITIONS, keys_of, running, stored, until

USERS = ("ann", "bob", "cem")


class Switch(Ring):
    """Redis answers while `on`."""

    on = True

    async def append(self, runs):
        self.check()
        return await super().append(runs)

    async def drop(self, users):
        self.check()
        await super().drop(users)

    def check(self) -> None:
        if not self.on:
            raise Unavailable("Redis is away")


@pytest.fixture
def ring(town):
    return Switch(town.redis, keys_of(town.settings), town.settings.ring)


@pytest.fixture
def store(town):
    return BehindStore(town.database)


@pytest.fixture
def behind(ring, store):
    return Behind(ring, store, PARTITIONS)


@pytest.fixture
def deliver(town, ring, behind):
    """A message to these users, through the worker."""
    inbox = Inbox(
        TimelineWriter(TimelineStore(town.database)),
        Contents(MessageStore(town.database)),
        ring,
        behind,
        town.publisher,
    )

    async def deliver(seq: int, *users: str) -> None:
        delivery = Delivery("g:x", seq, users, Raw(stored("g:x", seq).message))
        await (await inbox.handle([Taken(inbox_partition(users[0], PARTITIONS), delivery)]))

    return deliver


@pytest.fixture
async def with_rings(town, ring):
    """Users whose rings are there."""
    sync = Sync(ring, TimelineStore(town.database), Contents(MessageStore(town.database)))
    for user in USERS:
        await sync.pull(user, 0, 1)


async def have_rings(town) -> list[str]:
    return [user for user in USERS if await town.redis.exists(keys_of(town.settings).ring(user))]


async def test_ring_that_missed_an_entry_while_redis_was_away_is_gone_when_it_is_back(
    town, ring, behind, deliver, with_rings
):
    """I7: timelines go on meanwhile, and nothing waits."""
    ring.on = False
    async with running(behind):
        for seq in (1, 2, 3):
            await deliver(seq, "ann")
        assert await TimelineStore(town.database).head("ann") == 3
        assert await have_rings(town) == [*USERS]
        ring.on = True

        async def dropped() -> bool:
            return await have_rings(town) == ["bob", "cem"]

        await until(dropped)


async def test_successor_of_a_killed_worker_drops_the_rings(town, ring, store, deliver, with_rings):
    """Its offsets may be committed: nobody handles these messages again."""
    ring.on = False
    await deliver(1, "ann")
    ring.on = True
    other = Behind(ring, store, PARTITIONS)
    other.assigned([(inbox_partition("ann", PARTITIONS) + 1) % PARTITIONS])
    await other.step()
    assert await have_rings(town) == [*USERS]
    successor = Behind(ring, store, PARTITIONS)
    successor.assigned([inbox_partition("ann", PARTITIONS)])
    await successor.step()
    assert await have_rings(town) == ["bob", "cem"]
    assert await town.database.collection("behind").count({}) == 0


async def test_worker_that_lost_a_partition_does_not_remove_the_marks_of_its_successor(
    town, ring, store, behind, deliver, with_rings
):
    ring.on = False
    await deliver(1, "ann")
    partition = inbox_partition("ann", PARTITIONS)
    assert (await store.claim("successor", [partition])).users == {"ann": partition}
    ring.on = True
    await behind.step()
    assert (await store.claim("successor", [])).users == {"ann": partition}


async def test_beyond_a_bound_all_rings_of_a_partition_are_dropped_instead(
    town, ring, store, behind, deliver, with_rings, monkeypatch
):
    """I8."""
    monkeypatch.setattr("consumers.behind.MOST_USERS", 0)
    ring.on = False
    await deliver(1, "ann")
    partition = inbox_partition("ann", PARTITIONS)
    rows = await town.database.collection("behind").find({})
    assert [(row["_id"], row["p"]) for row in rows] == [(f"all of {partition}", partition)]
    ring.on = True
    successor = Behind(ring, store, PARTITIONS)
    successor.assigned([partition])
    await successor.step()
    others = [user for user in USERS if inbox_partition(user, PARTITIONS) != partition]
    assert await have_rings(town) == others
    assert await town.database.collection("behind").count({}) == 0


async def test_without_the_store_too_the_batch_is_tried_again(ring, behind, deliver, monkeypatch):
    """Otherwise offsets would be committed and the mark would be lost."""
    ring.on = False

    async def away(owner, users):
        raise Unavailable("the store is away")

    monkeypatch.setattr(BehindStore, "add", staticmethod(away))
    with pytest.raises(Unavailable):
        await deliver(1, "ann")
