"""The scenarios of `ringpost bench`. Each makes its load anew, measures, and waits until all has arrived."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.book import Book, curve, latency
from benchmarks.cpu import resident_bytes
from benchmarks.outcome import MEMORY, Meter, Outcome
from benchmarks.traffic import Traffic
from benchmarks.world import Post, World

BEHIND = 20
FLOODERS = 8
BESIDE_RATE = 20.0
GROUP_RATE = 2.0
DEAF_TEXT_BYTES = 8_000
DEAF_RATE = 20.0
DEAF_GROUP = 50
IDLE_SETTLE_S = 3.0
AGAIN_S = 0.1
ANSWER, PUSH, LAST_PUSH = "send to answer", "send to push", "send to last push"
PER_MESSAGE = "µs per message"
Groups = Sequence[tuple[int, ...]]


class Setup(NamedTuple):
    """Where and how a scenario runs. `tell` hears what it is doing."""

    world: World
    asked: argparse.Namespace
    processes: Mapping[int, str]
    tell: Callable[[str], None]

    def seconds(self, usual: float) -> float:
        return float(usual if self.asked.seconds is None else self.asked.seconds)


def direct(rate: float) -> Callable[[Setup], Outcome]:
    """So many direct messages a second; as many as are taken for 0."""

    def scenario(setup: Setup) -> Outcome:
        asked, seconds = setup.asked, setup.seconds(20)
        groups = _pairs(range(asked.users))
        book, posts, traffic = _online(setup, asked.users, groups, asked.text_bytes)
        mixed = _mixed(posts)

        def drive(seconds: float) -> None:
            if rate:
                traffic.at_rate(mixed, rate, seconds)
            else:
                traffic.in_flight(mixed, asked.in_flight, seconds)

        return _messages(setup, book, traffic, drive, seconds)

    return scenario


def group(setup: Setup) -> Outcome:
    """Messages into a large group of which all members are online."""
    size, seconds = setup.asked.group_size, setup.seconds(20)
    book, posts, traffic = _online(setup, size, [tuple(range(size))], setup.asked.text_bytes)
    return _messages(setup, book, traffic, lambda s: traffic.at_rate(_mixed(posts), GROUP_RATE, s), seconds)


def _messages(
    setup: Setup, book: Book, traffic: Traffic, drive: Callable[[float], None], seconds: float
) -> Outcome:
    """Warm up, then measure what `drive` sends."""
    setup.tell(f"warming up for {setup.asked.warm_up:g} s")
    drive(setup.asked.warm_up)
    traffic.settle(setup.asked.drain)
    setup.tell(f"measuring for {seconds:g} s")
    meter, first = Meter(setup.processes), len(book)
    meter.start()
    began = time.perf_counter()
    drive(seconds)
    traffic.settle(setup.asked.drain)
    meter.stop()
    stored = book.stored(range(first, len(book)))
    members = book.members[0]
    push = PUSH if members == 2 else LAST_PUSH
    answers, pushes = book.answer_s(stored), book.push_s(stored)
    took = max([seconds, *(book.answered_at[number] - began for number in stored)])
    outcome = Outcome(latency(ANSWER, answers) | latency(push, pushes))
    outcome.figures["throughput, messages a second"] = len(stored) / took
    meter.each(outcome, len(stored), PER_MESSAGE)
    if members > 2:
        deliveries = sum(book.arrivals[number] for number in stored)
        meter.per_cpu_second(outcome, "deliveries in a second of CPU", deliveries)
    outcome.curves = {ANSWER: curve(answers), push: curve(pushes)}
    outcome.close(book)
    return outcome


def idle(setup: Setup) -> Outcome:
    """What is used when nothing happens: CPU without and with idle connections, and their memory."""
    world, count, seconds = setup.world, setup.asked.connections, setup.seconds(10)
    devices = world.grow(count)
    setup.tell(f"nothing happens for {seconds:g} s")
    outcome = Outcome()
    _nothing_happens(setup, seconds).each(outcome, seconds, "core")
    api = [pid for pid, name in setup.processes.items() if "api" in name]
    before = sum(map(resident_bytes, api))
    setup.tell(f"connecting {count} devices")
    book = world.book([])
    world.connect(devices, book)
    _wait(world, IDLE_SETTLE_S)
    if api:
        outcome.figures[MEMORY] = (sum(map(resident_bytes, api)) - before) / count / 1024
    setup.tell(f"{count} idle connections for {seconds:g} s")
    meter = _nothing_happens(setup, seconds)
    meter.each(outcome, seconds, "core beside idle connections", one_by_one=False)
    outcome.close(book)
    return outcome


def _nothing_happens(setup: Setup, seconds: float) -> Meter:
    meter = Meter(setup.processes)
    meter.start()
    _wait(setup.world, seconds)
    meter.stop()
    return meter


def _wait(world: World, seconds: float) -> None:
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        world.turn(until - now)


def flood(setup: Setup) -> Outcome:
    """Members of a large group who never pause, beside direct messages of people outside of it."""
    asked, seconds = setup.asked, setup.seconds(15)
    size, users = asked.group_size, asked.group_size + asked.users
    groups = [tuple(range(size)), *_pairs(range(size, users))]
    book, (loud, *quiet), traffic = _online(setup, users, groups, asked.text_bytes)
    setup.tell(f"flooding for {seconds:g} s")
    meter = Meter(setup.processes)
    meter.start()
    began = time.perf_counter()
    traffic.run(seconds, _mixed(quiet), BESIDE_RATE, {post.device.user: post for post in loud[:FLOODERS]})
    setup.tell("waiting until the backlog is gone")
    backlog_s = traffic.settle(asked.drain)
    meter.stop()
    beside = [number for number in range(len(book)) if book.conversation[number]]
    stored = book.stored(beside)
    answers, pushes = book.answer_s(stored), book.push_s(stored)
    outcome = Outcome(latency(ANSWER, answers) | latency(PUSH, pushes))
    flooded = len(book.stored(range(len(book)))) - len(stored)
    outcome.figures |= {
        "direct messages refused": len(beside) - len(stored),
        "flood stored, messages a second": flooded / seconds,
        "flood refused, messages": len(book) - len(beside) - flooded,
        "refused with the time to come again": book.refused_with_wait.total(),
        "until the backlog is gone, s": backlog_s,
    }
    meter.each(outcome, time.perf_counter() - began, "core")
    outcome.curves = {ANSWER: curve(answers), PUSH: curve(pushes)}
    outcome.timeline = [
        (round(book.due[n] - began, 2), round((book.pushed_at[n] - book.due[n]) * 1000, 2))
        for n in stored
        if book.pushed_at[n]
    ]
    outcome.close(book)
    return outcome


def storm(setup: Setup) -> Outcome:
    """Devices that were away reconnect at once, each some messages behind."""
    world, asked = setup.world, setup.asked
    size = max(2, min(asked.group_size, asked.devices))
    count = max(size, asked.devices // size * size)
    groups = [tuple(range(first, first + size)) for first in range(0, count, size)]
    book, posts, traffic = _online(setup, count, groups, asked.text_bytes)
    devices = world.devices[:count]
    setup.tell(f"sending {BEHIND} messages to each of {count} devices")
    for _ in range(BEHIND):
        _send_each(setup, book, traffic, [members[0] for members in posts])
    outcome = Outcome()
    outcome.close(book)
    world.disconnect()
    _wait(world, IDLE_SETTLE_S)
    setup.tell(f"{count} devices reconnect")
    meter, book = Meter(setup.processes), world.book([])
    for device in devices:
        device.goal = device.head
        device.head -= min(BEHIND, device.head)
    meter.start()
    began = time.perf_counter()
    world.sockets.at_goal.clear()
    world.begin_to_connect(devices, book)
    while len(world.sockets.at_goal) < count and time.perf_counter() < began + asked.drain:
        world.turn(0.1)
    meter.stop()
    waited = sorted(at - began for at in world.sockets.at_goal)
    behind = sum(device.goal - device.head for device in devices)
    outcome.figures["all caught up, s"] = waited[-1] if len(waited) == count else asked.drain
    outcome.figures |= latency("reconnect to caught up", waited)
    meter.each(outcome, count, "µs per device")
    outcome.curves = {"reconnect to caught up": curve(waited)}
    outcome.checks["missing"] += behind
    outcome.checks["out of order"] += book.out_of_order
    outcome.errors |= dict(book.errors)
    return outcome


def _send_each(setup: Setup, book: Book, traffic: Traffic, posts: Sequence[Post]) -> None:
    """One message to each conversation, sent again while the server is overloaded, and all of it arrived."""
    give_up, waiting = time.perf_counter() + setup.asked.drain, list(posts)
    while waiting and time.perf_counter() < give_up:
        first = len(book)
        for post in waiting:
            traffic.send(post, time.perf_counter())
        traffic.settle(setup.asked.drain)
        stored = {book.conversation[number] for number in book.stored(range(first, len(book)))}
        waiting = [post for post in waiting if post.conversation not in stored]
        if waiting:
            _wait(setup.world, AGAIN_S)
    if waiting:
        setup.tell(f"gave up {len(waiting)} messages: the devices are not as far behind as they should be")


def deaf(setup: Setup) -> Outcome:
    """The same load twice: the second time some users have a further device that never reads."""
    asked, seconds = setup.asked, setup.seconds(45)
    size = min(DEAF_GROUP, asked.users)
    book, posts, traffic = _online(setup, size, [tuple(range(size))], DEAF_TEXT_BYTES)
    mixed = _mixed(posts)
    traffic.at_rate(mixed, DEAF_RATE, asked.warm_up)
    outcome = Outcome()
    before = setup.world.closed_slow()
    for beside in ("", f" beside {asked.deaf} deaf devices"):
        setup.tell(f"measuring{beside} for {seconds:g} s")
        if beside:
            setup.world.add_deaf(asked.deaf, book)
        first = len(book)
        traffic.at_rate(mixed, DEAF_RATE, seconds)
        traffic.settle(asked.drain)
        pushes = book.push_s(book.stored(range(first, len(book))))
        outcome.figures |= latency(LAST_PUSH + beside, pushes)
        outcome.curves[LAST_PUSH + beside] = curve(pushes)
    outcome.figures["deaf devices closed as slow"] = setup.world.closed_slow() - before
    outcome.close(book)
    return outcome


def _online(
    setup: Setup, users: int, groups: Groups, text_bytes: int
) -> tuple[Book, list[list[Post]], Traffic]:
    """So many devices online, and what they can send into these conversations."""
    world = setup.world
    setup.tell(f"making {users} users and {len(groups)} conversations")
    devices = world.grow(users)
    book = world.book(groups)
    posts = world.posts(book, groups, text_bytes)
    setup.tell(f"connecting {users} devices")
    world.connect(devices, book)
    return book, posts, Traffic(world, book)


def _pairs(users: range) -> Groups:
    """About five conversations for each two of them, the same ones whenever it is asked."""
    chance = random.Random(len(users))
    most = len(users) * (len(users) - 1) // 2
    chosen: dict[tuple[int, ...], None] = {}
    while len(chosen) < min(most, max(1, 5 * len(users) // 2)):
        chosen[tuple(sorted(chance.sample(users, 2)))] = None
    return list(chosen)


def _mixed(posts: Sequence[Sequence[Post]]) -> list[Post]:
    """All that can be sent, in an order without a pattern."""
    mixed = [post for members in posts for post in members]
    random.Random(len(mixed)).shuffle(mixed)
    return mixed


SCENARIOS: dict[str, tuple[str, Callable[[Setup], Outcome]]] = {
    "idle": ("Nothing happens", idle),
    "50": ("50 direct messages a second", direct(50)),
    "200": ("200 direct messages a second", direct(200)),
    "1000": ("1,000 direct messages a second", direct(1000)),
    "saturation": ("As many direct messages as are taken", direct(0)),
    "group": ("A large group, 2 messages a second", group),
    "flood": ("A large group that floods, beside 20 direct messages a second", flood),
    "storm": ("Devices reconnect at once", storm),
    "deaf": ("A group of 50, beside devices that never read", deaf),
}
"""In this order: a process keeps memory that it once had, so idle connections come before all others."""
USUAL = tuple(name for name in SCENARIOS if name != "deaf")


def scenario(name: str) -> tuple[str, Callable[[Setup], Outcome]]:
    """Title and function. A number that stands in no table is a rate. Raises ValueError."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    rate = float(name)
    if not 0 < rate <= 100_000:
        raise ValueError(name)
    return f"{rate:,g} direct messages a second", direct(rate)
