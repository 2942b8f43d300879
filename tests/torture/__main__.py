"""`python -m tests.torture`, or `ringpost torture` from a checkout.

Exit code 0: every promise was kept. 1: one was not. 2: asked for wrongly, or the run could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from infra.local.process import LocalEngineError
from ringpost.entry import guarded
from ringpost.output import progress
from tests.torture import clock, disk
from tests.torture.options import MODES, Options, modes_of

if TYPE_CHECKING:
    from tests.torture.run import Run


def parser() -> argparse.ArgumentParser:
    """The options of `ringpost torture`."""
    modes = "; ".join(f"{mode}: {what}" for mode, what in MODES.items())
    made = argparse.ArgumentParser(
        prog="ringpost torture",
        description="A whole Ringpost under traffic, broken on purpose; then: is anything lost or doubled?",
        epilog=f"Modes: {modes}.",
    )
    add = made.add_argument
    add("--mode", default="all", help="what breaks: one, several with commas, all, none (%(default)s)")
    add("--seed", type=int, help="of traffic and faults; random, and printed, if absent")
    add("--seconds", type=float, default=60.0, help="length of the traffic (%(default)s)")
    add("--messages", type=int, help="instead: about so many sends")
    add("--rate", type=float, default=60.0, help="sends per second (%(default)s)")
    add("--users", type=int, default=30, help="each with two or three devices (%(default)s)")
    add("--report", type=Path, help="folder for report.json, report.html, and the logs if something is wrong")
    add("--every", type=float, help="a fault each so many seconds, instead of at random moments")
    add("--lasts", type=float, help="each fault for so many seconds, instead of for random ones")
    add("--replay", action=argparse.BooleanOptionalAction, default=True, help="the log again from offset 0")
    add("--json", action="store_true", help="print one JSON object instead of text")
    return made


def options_of(words: list[str]) -> Options:
    made = parser()
    asked = made.parse_args(words)
    try:
        modes = modes_of(asked.mode)
    except ValueError as error:
        made.error(str(error))
    if asked.rate <= 0 or asked.users < 5:
        made.error("--rate must be above 0, and --users at least 5")
    if min(asked.every or 1, asked.lasts or 1) <= 0:
        made.error("--every and --lasts must be above 0")
    if asked.report is not None:
        try:
            asked.report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            made.error(f"--report {asked.report}: {error.strerror}")
    seconds = asked.messages / asked.rate if asked.messages else asked.seconds
    if seconds < 10:
        made.error("the traffic must last at least 10 seconds")
    everything = "all" in asked.mode.split(",")
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    modes = tuple(mode for mode in modes if _can(made, mode, everything))
    return Options(
        modes,
        seed,
        seconds,
        asked.rate,
        asked.users,
        every_s=asked.every,
        lasts_s=asked.lasts,
        replay=asked.replay,
        report=asked.report,
        as_json=asked.json,
    )


def _can(made: argparse.ArgumentParser, mode: str, everything: bool) -> bool:
    """Whether this machine has what the mode needs; in `all` it is left out if not, else that is an error."""
    missing = ""
    if mode == "clock" and clock.faketime() is None:
        missing = clock.ABSENT
    elif mode == "disk" and not disk.may_mount():
        missing = disk.ABSENT
    if missing and not everything:
        made.error(missing)
    if missing:
        _say(f"Left out: {missing}")
    return not missing


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(words: list[str]) -> int:
    options = options_of(words)
    # They need the developers' tools. Help and a wrong option do not.
    from tests.torture.report import report_of, text_of
    from tests.torture.run import run

    _say(f"seed {options.seed}, modes {','.join(options.modes) or 'none'}, {options.seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="ringpost-torture-") as name:
        folder = Path(name)
        try:
            with progress("Starting engines and parts") as tell:
                done = uvloop.run(_until_told(run(options, folder, tell)))
        except (LocalEngineError, RuntimeError, asyncio.CancelledError) as error:
            _say(f"The run could not be made: {str(error) or 'it was ended'}")
            return 2
        report = report_of(done)
        if options.report is not None:
            _write(options.report, done, report, folder)
    sys.stdout.write((json.dumps(report, indent=1) if options.as_json else text_of(report)) + "\n")
    return 0 if report["ok"] else 1


async def _until_told(running: Coroutine[Any, Any, Run]) -> Run:
    """SIGTERM ends it as Ctrl-C does: nothing is left running or mounted."""
    task = asyncio.create_task(running)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _write(to: Path, done: Run, report: dict[str, Any], folder: Path) -> None:
    from tests.torture.page import page_of

    to.mkdir(parents=True, exist_ok=True)
    (to / "report.json").write_text(json.dumps(report, indent=1))
    (to / "report.html").write_text(page_of(done, report))
    if not report["ok"]:
        logs = to / "logs"
        logs.mkdir(exist_ok=True)
        for log in [*folder.glob("parts/*.log"), *folder.glob("engines/*/*.log")]:
            shutil.copyfile(log, logs / log.name)


if __name__ == "__main__":
    guarded(lambda: sys.exit(main(sys.argv[1:])))
