"""Admission by work: the more recipients a message has, the earlier it is refused."""

from __future__ import annotations

import asyncio

import pytest

from consumers import wiring
from consumers.pace import ENOUGH
from domain.errors import Overloaded
from domain.ids import UserId
from producers.backlog import FEW, LEAST_S, PACE, WORK_S, Backlog
from producers.wiring import send_path
from tests.builders import (
    ANN,
    BOB,
    CEM,
    add_users,
    draft,
    open_town,
    opened_clients,
    running,
    settings_for,
    until,
)
from tests.patience import FAR_OFF_S


@pytest.fixture
def backlog():
    return Backlog()


def admits(backlog: Backlog, recipients: int) -> bool:
    try:
        backlog.check(recipients)
    except Overloaded:
        return False
    return True


def test_largest_group_is_admitted_when_nothing_waits(backlog):
    assert admits(backlog, 100_000)


def test_few_recipients_keep_nobody_out_however_slow_inbox_was(backlog):
    backlog.served(0, 1.0)
    backlog.enter(FEW)
    assert admits(backlog, 1_000)
    backlog.enter(1)
    assert not admits(backlog, 1_000)


def test_flood_of_a_large_group_is_refused_while_direct_messages_pass(backlog):
    sent = 0
    while admits(backlog, 1_000):
        backlog.enter(1_000)
        sent += 1
    assert max(FEW, LEAST_S * PACE) <= 1_000 * sent <= max(FEW, LEAST_S * PACE) + 1_000
    assert admits(backlog, 2)
    assert not admits(backlog, 100_000)


def test_direct_messages_are_refused_too_when_very_much_waits(backlog):
    backlog.enter(round(PACE * WORK_S / 2) + 1)
    assert not admits(backlog, 2)
    backlog.leave(2)
    assert admits(backlog, 2)


def test_refusal_says_after_how_many_seconds_there_is_room(backlog):
    backlog.enter(round(10 * PACE))
    with pytest.raises(Overloaded) as refused:
        backlog.check(1_000)
    assert refused.value.retry_after_s == 10


def test_what_waits_is_measured_by_the_pace_that_inbox_said_last(backlog):
    backlog.enter(1_000)
    backlog.served(0, 500.0)
    assert backlog.seconds == pytest.approx(2.0)
    backlog.served(400, 0.0)
    assert backlog.seconds == pytest.approx(1.2)


async def test_inbox_tells_its_pace_to_those_who_send_as_soon_as_much_waits(engines, unique):
    settings = settings_for(engines, unique, outbox={"scan_s": FAR_OFF_S}, worker={"commit_s": FAR_OFF_S})
    users = [UserId(f"u{number}") for number in range(8 * ENOUGH)]  # so that each partition has enough
    async with opened_clients(settings) as clients:
        town = await open_town(clients)
        await add_users(town.stores, *users)
        group, path = await town.group(*users), town.path
        async with running(path.spreader, path.barrier, *wiring.inbox(clients)):
            await town.send(draft(group, users[0]))
            assert path.backlog.seconds == pytest.approx(len(users) / PACE)
            await until(lambda: not path.backlog.recipients)
        path.backlog.enter(1_000)
        assert path.backlog.seconds != pytest.approx(1_000 / PACE)


async def test_recipients_leave_the_backlog_when_inbox_has_served_them(wired):
    group = await wired.group(ANN, BOB, CEM)
    path = wired.path
    async with running(path.spreader, path.barrier, *wiring.inbox(wired.clients)):
        await wired.send(draft(group))
        assert path.backlog.recipients == 3
        await until(lambda: not path.backlog.recipients)


async def test_recipients_of_what_the_relay_gets_leave_the_backlog(town):
    town.path.spreader.partitions = 0
    await town.send(draft(await town.direct()))
    assert town.path.backlog.recipients == 0


async def test_send_that_is_refused_for_its_recipients_leaves_no_trace(town):
    group, direct = await town.group(ANN, BOB, CEM), await town.direct()
    town.path.backlog.enter(round(PACE * WORK_S / 3) + 1)
    with pytest.raises(Overloaded):
        await town.send(draft(group))
    assert (await town.send(draft(direct))).created
    assert await town.stores.messages.last(group) == 0
    assert await town.stores.sequence.take([(group, 0)]) == [None]


async def test_one_sender_cannot_fill_the_queue_that_all_share(town):
    """I8. Others send meanwhile."""
    settings = town.clients.settings.send
    town.clients.settings.send = settings.model_copy(update={"waiting": 30})
    path, direct = await send_path(town.clients), await town.direct()
    assert (await path.sender.send(draft(direct, ANN))).created  # so that the next ones need no read first
    sends = [path.sender.send(draft(direct, ANN)) for _ in range(10)]
    outcomes = await asyncio.gather(*sends, path.sender.send(draft(direct, BOB)), return_exceptions=True)
    assert sum(isinstance(one, Overloaded) for one in outcomes[:-1]) == 7
    assert outcomes[-1].created
    assert (await path.sender.send(draft(direct, ANN))).created
