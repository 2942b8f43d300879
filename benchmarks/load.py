"""Load on a running Ringpost: how much, how fast, at what cost, and whether every entry arrived once.

See benchmarks/README.md for what the scenarios do and what their figures mean.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.cpu import given
from benchmarks.plot import svg
from benchmarks.processes import processes_of
from benchmarks.report import Part, for_programs, processes_named, show
from benchmarks.scenarios import DEAF_GROUP, SCENARIOS, USUAL, Setup, scenario
from benchmarks.sockets import Server
from benchmarks.world import World
from infra.keys import find_admin_key
from infra.settings import SettingsError, load_settings
from ringpost.entry import guarded
from ringpost.http import TIMEOUT_S, Api, ApiError, checked_url, user_path
from ringpost.output import complain, progress
from ringpost.running import api_url_by_settings, find_running

SIZES = ("users", "in_flight", "text_bytes", "group_size", "devices", "connections")
REFRESH_PER_S = 1.0
"""The line of progress costs CPU time in the process that measures."""


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
    add(
        "--only",
        default=",".join(USUAL),
        help=f"scenarios, of {', '.join(SCENARIOS)}; any other number is a rate (%(default)s)",
    )
    add("--runs", type=int, default=1, help="how often each scenario runs; medians are shown (%(default)s)")
    add("--seconds", type=float, help="how long each scenario measures, in place of its own time")
    add("--warm-up", type=float, default=5.0, help="seconds of the same load before (%(default)s)")
    add("--drain", type=float, default=60.0, help="most seconds to wait for the last entries (%(default)s)")
    add("--users", type=int, default=100, help="users who send direct messages (%(default)s)")
    add("--in-flight", type=int, default=64, help="unanswered messages at saturation (%(default)s)")
    add("--text-bytes", type=int, default=300, help="length of a text (%(default)s)")
    add("--group-size", type=int, default=1000, help="members of a large group (%(default)s)")
    add("--devices", type=int, default=5000, help="devices that reconnect at once (%(default)s)")
    add("--connections", type=int, default=1000, help="idle connections (%(default)s)")
    add("--deaf", type=int, default=5, help="devices that never read, in the scenario deaf (%(default)s)")
    add(
        "--against",
        help="URL or data folder of a second running Ringpost: each scenario in turn with it, and the ratio",
    )
    add("--against-admin-key", help="its admin key; else that of its data folder, else the same one")
    add(
        "--pids",
        default="",
        help="processes to watch, `api=12,inbox=34`; else those of this Ringpost, if it runs here",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured as JSON (- is stdout)")
    add("--plot", type=Path, metavar="FILE", help="draw the latencies as SVG")
    return made


def _asked() -> argparse.Namespace:
    made = parser()
    asked = made.parse_args()
    for name, least in (
        ("runs", 1), ("users", 2), ("in_flight", 1), ("group_size", 2), ("devices", 2), ("connections", 1),
        ("deaf", 0), ("text_bytes", 1),
    ):  # fmt: skip
        if getattr(asked, name) < least:
            made.error(f"--{name.replace('_', '-')} must be at least {least}")
    if min(asked.seconds or 0, asked.warm_up, asked.drain) < 0 or asked.seconds == 0:
        made.error("--seconds must be above 0, --warm-up and --drain not below")
    asked.only = [name.strip() for name in asked.only.split(",")]
    if "deaf" in asked.only and asked.deaf > min(asked.users, DEAF_GROUP):
        made.error(f"--deaf must be at most {min(asked.users, DEAF_GROUP)}, the members of its group")
    for name in asked.only:
        try:
            scenario(name)
        except ValueError:
            made.error(f"--only knows {', '.join(SCENARIOS)} and rates such as 500, but not {name!r}")
    try:
        asked.servers = list(_servers(asked))
    except (ApiError, SettingsError) as error:
        made.error(str(error))
    return asked


def _servers(asked: argparse.Namespace) -> Iterator[Server]:
    """The Ringpost to measure, and the one against which. Raises ApiError, SettingsError."""
    settings = load_settings()
    asked.url = checked_url(api_url_by_settings(asked.url, settings))
    try:
        key = asked.admin_key or find_admin_key(settings.auth)
    except SettingsError as error:
        raise SettingsError(f"{error} Or give --admin-key.") from None
    yield _server(asked.url, key)
    if asked.against is None:
        return
    folder = Path(asked.against)
    if "://" in asked.against or not folder.is_dir():
        asked.against = checked_url(asked.against)
    else:
        running = find_running(folder)
        if running is None:
            raise SettingsError(f"No `ringpost up` runs with the data folder {folder}.")
        asked.against = running.url
        nothing_given = {"data_dir": folder, "admin_key": type(settings.auth.admin_key)("")}
        key = find_admin_key(settings.auth.model_copy(update=nothing_given))
    yield _server(asked.against, asked.against_admin_key or key)


def _server(url: str, key: str) -> Server:
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise SettingsError(f"{url} must begin with http://: the generator does not speak TLS")
    return Server(parts.hostname or "127.0.0.1", parts.port or 80, key)


@contextmanager
def _worlds(asked: argparse.Namespace) -> Iterator[list[World]]:
    """One for each Ringpost. ApiError if one is not there, or its key is wrong."""
    worlds = [World(server) for server in asked.servers]
    try:
        for world, url in zip(worlds, (asked.url, asked.against), strict=False):
            Api(url, world.server.admin_key, asked.timeout_s).call("PUT", user_path(world.user(0)), {})
        yield worlds
    finally:
        for world in worlds:
            world.close()


def _run(asked: argparse.Namespace, tell: Callable[[str], None]) -> tuple[list[Part], dict[str, Any]]:
    """Every scenario, run after run, in turn at each Ringpost. `tell` hears the stages."""
    parts: list[Part] = []
    with _worlds(asked) as worlds:
        urls = [asked.url, asked.against][: len(worlds)]
        watched = [processes_of(world.server.host, world.server.port) for world in worlds]
        watched[0] = given(asked.pids) or watched[0]
        began, load = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), os.getloadavg()[0]
        for name in asked.only:
            title, measure = scenario(name)
            of_it = [Part(name, title, url, []) for url in urls]
            for run in range(asked.runs):
                for world, part, processes in zip(worlds, of_it, watched, strict=True):
                    heading = f"{title}, run {run + 1} of {asked.runs}, {part.url}: "
                    setup = Setup(world, asked, processes, _after(heading, tell))
                    try:
                        part.runs.append(measure(setup))
                    finally:
                        world.disconnect()
            parts += of_it
        about = {
            "began": began,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "load_average": [load, os.getloadavg()[0]],
            "urls": urls,
            "runs": asked.runs,
            "sizes": {name: getattr(asked, name) for name in SIZES},
            "usual_sizes": all(getattr(asked, name) == parser().get_default(name) for name in SIZES),
            "processes": [processes_named(url, found) for url, found in zip(urls, watched, strict=True)],
        }
    return parts, about


def _after(heading: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: tell(heading + text)


def _write(asked: argparse.Namespace, parts: Sequence[Part], about: dict[str, Any]) -> None:
    printed = json.dumps(for_programs(parts, about)) + "\n" if asked.json else ""
    if asked.json == Path("-"):
        sys.stdout.write(printed)
    else:
        show(parts, about)
        if asked.json:
            asked.json.write_text(printed)
    if asked.plot:
        asked.plot.write_text(svg(parts))


def main() -> None:
    """Exit code 0: everything that was stored arrived once, in order; 1: not; 2: it could not be run."""
    asked = _asked()
    gc.disable()  # little is made that refers to itself, and a collection costs more than many messages
    try:
        with progress(f"Asking {asked.url}", REFRESH_PER_S) as tell:
            parts, about = _run(asked, tell)
    except ApiError as error:
        complain(str(error))
        sys.exit(2)
    except (OSError, TimeoutError, RuntimeError) as error:
        complain(f"{asked.url}: {str(error) or type(error).__name__}")
        sys.exit(2)
    _write(asked, parts, about)
    sys.exit(0 if all(run.good for part in parts for run in part.runs) else 1)


if __name__ == "__main__":
    guarded(main)
