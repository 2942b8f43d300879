"""Load on a running Ringpost: how much, how fast, at what cost, and whether every entry arrived once.

Open loop: messages are due at fixed moments, and latency counts from the moment a message was due, so a
server that stalls is not spared the messages that it made wait. `--rate 0` is the closed loop of
`--in-flight` senders, which finds how much a server can take. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.book import Book, quantiles_ms
from benchmarks.cpu import CpuClock, given
from benchmarks.processes import processes_of
from benchmarks.world import Server, Traffic, World
from infra.keys import find_admin_key
from infra.settings import SettingsError, load_settings
from ringpost.entry import guarded
from ringpost.http import TIMEOUT_S, Api, ApiError, checked_url, user_path
from ringpost.output import complain, progress
from ringpost.running import api_url_by_settings

SETTLE_LOOK_S = 0.1


def parser() -> argparse.ArgumentParser:
    """The options of `ringpost bench`."""
    made = argparse.ArgumentParser(prog="ringpost bench", description="Load on a running Ringpost.")
    add = made.add_argument
    add(
        "--url",
        default=os.environ.get("RINGPOST_URL") or None,
        help="where the API listens (RINGPOST_URL); else where `ringpost up` or the settings place it",
    )
    add("--admin-key", help="else RINGPOST_ADMIN_KEY, else from the data folder (RINGPOST_DATA_DIR)")
    timeout = os.environ.get("RINGPOST_TIMEOUT_S") or TIMEOUT_S
    add("--timeout-s", type=float, default=timeout, help="most seconds for the first answer (%(default)s)")
    add("--rate", type=float, default=200.0, help="messages a second; 0: as many as it takes (%(default)s)")
    add("--in-flight", type=int, default=64, help="senders at once when the rate is 0 (%(default)s)")
    add("--seconds", type=float, default=60.0, help="how long is measured (%(default)s)")
    add("--warm-up", type=float, default=5.0, help="seconds of the same before (%(default)s)")
    add("--users", type=int, default=100, help="users, each with one connected device (%(default)s)")
    add("--group-size", type=int, default=2, help="members of a conversation; 2: direct (%(default)s)")
    add("--conversations", type=int, help="how many, opened beforehand (5 for each user and member)")
    add("--via", choices=("http", "ws"), default="http", help="how messages are sent (%(default)s)")
    add("--text-bytes", type=int, default=100, help="length of a text (%(default)s)")
    add("--deaf", type=int, default=0, help="then as long again beside so many devices that never read")
    add("--connections", type=int, default=64, help="HTTP connections, at most (%(default)s)")
    add("--drain", type=float, default=30.0, help="most seconds to wait for the last entries (%(default)s)")
    add(
        "--pids",
        default="",
        help="processes to watch, `api=12,inbox=34`; else those of this Ringpost, if it runs here",
    )
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return made


def _asked() -> argparse.Namespace:
    made = parser()
    asked = made.parse_args()
    if not 2 <= asked.group_size <= asked.users:
        made.error("--group-size must be from 2 to the number of --users")
    if not 0 <= asked.deaf <= asked.users:
        made.error("--deaf must be from 0 to the number of --users")
    try:
        asked.url = checked_url(api_url_by_settings(asked.url, load_settings()))
    except (ApiError, SettingsError) as error:
        made.error(str(error))
    if urlsplit(asked.url).scheme != "http":
        made.error("--url must begin with http://: the generator does not speak TLS")
    if asked.conversations is None:
        asked.conversations = max(1, 5 * asked.users // asked.group_size)
    if not asked.admin_key:
        try:
            asked.admin_key = find_admin_key(load_settings().auth)
        except SettingsError as error:
            made.error(f"{error} Or give --admin-key.")
    return asked


async def _run(asked: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Make the world, warm up, measure, wait for the last entry; what came of it. `tell` hears the stages."""
    url = urlsplit(asked.url)
    server = Server(url.hostname or "127.0.0.1", url.port or 80, asked.admin_key)
    world = World(server, max(asked.connections, 0 if asked.rate else asked.in_flight))
    api = Api(asked.url, asked.admin_key, asked.timeout_s)
    await asyncio.to_thread(
        api.call, "PUT", user_path(world.user(0)), {}
    )  # is a Ringpost there, and the key right?
    watching: asyncio.Task[None] | None = None
    try:
        tell(f"Making {asked.users} users and {asked.conversations} conversations")
        await world.make(asked.users, asked.group_size, asked.conversations)
        book = Book(world.run, asked.users, world.members)
        await world.connect(book)
        watching = asyncio.create_task(world.keep_connected(book))
        traffic = Traffic(world, book, asked.via, asked.text_bytes)
        tell(f"Warming up for {asked.warm_up:g} s")
        await _drive(traffic, asked, asked.warm_up)
        await _settle(book, asked.drain)
        tell(f"Measuring for {asked.seconds:g} s")
        book.measure()
        cpu = CpuClock(given(asked.pids) or processes_of(server.host, server.port))
        cpu.start()
        began = time.perf_counter()
        await _drive(traffic, asked, asked.seconds)
        await _settle(book, asked.drain)
        report = _report(asked, world, book, began, cpu.used_s())
        report["url"], report["processes"] = asked.url, cpu.watched
        if asked.deaf:
            tell(f"Measuring beside {asked.deaf} deaf devices for {asked.seconds:g} s")
            report["beside_deaf"] = await _beside_deaf(traffic, world, book, asked)
        return report | _checks(book)
    finally:
        if watching is not None:
            watching.cancel()
        await world.close()


async def _beside_deaf(
    traffic: Traffic, world: World, book: Book, asked: argparse.Namespace
) -> dict[str, Any]:
    """The same load again, now that some users have a device that does not read."""
    before = await world.closed_slow()
    await world.add_deaf(asked.deaf, book)
    book.measure()
    await _drive(traffic, asked, asked.seconds)
    await _settle(book, asked.drain)
    return {
        "devices": asked.deaf,
        "closed_slow": await world.closed_slow() - before,
        "send_to_answer_ms": quantiles_ms(book.answer_s),
        "send_to_push_ms": quantiles_ms(book.push_s),
    }


async def _drive(traffic: Traffic, asked: argparse.Namespace, seconds: float) -> None:
    if asked.rate > 0:
        await traffic.open_loop(asked.rate, seconds)
    else:
        await traffic.closed_loop(asked.in_flight, seconds)


async def _settle(book: Book, drain_s: float) -> None:
    """Wait until every stored message has arrived everywhere, or for as long as allowed."""
    for _ in range(round(drain_s / SETTLE_LOOK_S)):
        if book.settled():
            return
        await asyncio.sleep(SETTLE_LOOK_S)


def _report(
    asked: argparse.Namespace, world: World, book: Book, began: float, used: dict[str, float]
) -> dict[str, Any]:
    def rate(count: int, until: float) -> float:
        return round(count / max(until - began, asked.seconds), 1) if count else 0.0

    return {
        "via": asked.via,
        "asked_rate": asked.rate,
        "in_flight": asked.in_flight if asked.rate == 0 else None,
        "seconds": asked.seconds,
        "users": asked.users,
        "group_size": asked.group_size,
        "conversations": len(world.conversations),
        "sent": book.measured,
        "stored": book.stored,
        "pushed": book.pushed,
        "sent_per_s": round(book.measured / asked.seconds, 1),
        "stored_per_s": rate(book.stored, book.last_answer),
        "pushed_per_s": rate(book.pushed, book.last_push),
        "send_to_answer_ms": quantiles_ms(book.answer_s),
        "send_to_push_ms": quantiles_ms(book.push_s),
        "cpu_us_per_message": {
            name: round(seconds / book.stored * 1e6) for name, seconds in sorted(used.items())
        }
        if book.stored
        else {},
    }


def _checks(book: Book) -> dict[str, Any]:
    """What holds for the whole run, warm-up included; errors since it began to be measured."""
    return {
        "errors": dict(book.errors),
        "missing": book.missing(),
        "duplicates": book.duplicates,
        "out_of_order": book.out_of_order,
    }


def _show(report: dict[str, Any]) -> None:
    console = Console()
    what = "direct messages" if report["group_size"] == 2 else f"messages to groups of {report['group_size']}"
    load = f"{report['asked_rate']:g}/s" if report["asked_rate"] else f"{report['in_flight']} in flight"
    title = f"{what} at {load} for {report['seconds']:g} s, {report['users']} users, sent via {report['via']}"
    console.print(title)
    counts = Table("", "count", "per s")
    for name in ("sent", "stored", "pushed"):
        counts.add_row(name, str(report[name]), f"{report[name + '_per_s']:.1f}")
    console.print(counts)
    latency = Table("ms", "p50", "p90", "p99", "max")
    deaf = report.get("beside_deaf")
    for name, title in (("send_to_answer_ms", "send → answer"), ("send_to_push_ms", "send → push")):
        for figures, beside in ((report, ""), (deaf, " beside deaf devices")):
            if figures:
                points = (figures[name].get(p, 0) for p in ("p50", "p90", "p99", "max"))
                latency.add_row(title + beside, *(f"{point:.1f}" for point in points))
    console.print(latency)
    if deaf:
        console.print(f"{deaf['devices']} deaf devices, of which {deaf['closed_slow']} closed as slow")
    console.print(_counted(report))
    cpu = Table("CPU of", "µs per message")
    for name, used in report["cpu_us_per_message"].items():
        cpu.add_row(name, str(used))
    console.print(cpu)
    checks = ", ".join(f"{report[name]} {name}" for name in ("missing", "duplicates", "out_of_order"))
    console.print(f"entries: {checks.replace('_', ' ')}")
    for reason, count in report["errors"].items():
        console.print(f"error: {count} × {reason}")


def _counted(report: dict[str, Any]) -> str:
    """Whose CPU time the table holds."""
    if not report["processes"]:
        return (
            f"No process of the Ringpost at {report['url']} is seen here: it runs on another machine, in a "
            "container or behind a proxy. --pids names the processes to watch."
        )
    named = ", ".join(f"{name.partition(' (')[0]} ({pid})" for name, pid in report["processes"].items())
    return f"CPU is that of the Ringpost at {report['url']}: {named}"


def main() -> None:
    """Exit code 0: everything that was stored arrived once, in order; 1: not; 2: it could not be run."""
    asked = _asked()
    try:
        with progress(f"Asking {asked.url}") as tell:
            report = uvloop.run(_run(asked, tell))
    except ApiError as error:
        complain(str(error))
        sys.exit(2)
    except (OSError, TimeoutError, RuntimeError) as error:
        complain(f"{asked.url}: {str(error) or type(error).__name__}")
        sys.exit(2)
    if asked.json:
        print(json.dumps(report))
    else:
        _show(report)
    good = report["stored"] and not any(report[n] for n in ("missing", "duplicates", "out_of_order"))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    guarded(main)
