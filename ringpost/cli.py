"""The `ringpost` command.

A command imports what it needs when it runs. So commands that only ask the API start without the drivers.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from infra.tasks import ended
from ringpost.changes import changes, conversation_of
from ringpost.failure import UsageError
from ringpost.http import TIMEOUT_S, Api, ApiError, checked_url, user_path
from ringpost.options import Timeout, Token, Url, UrlBySettings
from ringpost.output import Json, example, json_line, progress, remark, show, watch_reader, write
from ringpost.running import api_url, api_url_by_settings, read_settings, settings_with_engines
from ringpost.topics import topics

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Messaging that loses nothing.",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(topics, name="topics")


Stage = Annotated[bool, typer.Option("--stage", hidden=True)]
"""The page at `/`: for `ringpost up`, which starts the API with it. No setting turns it on by accident."""


def _version(asked: bool) -> None:
    if asked:
        write(f"ringpost {version('ringpost')}")
        raise typer.Exit


@app.callback()
def _every_command(
    asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog=example("ringpost up", "RINGPOST_HTTP_PORT=8090 ringpost up"))
def up() -> None:
    """Start the engines and every part; Ctrl-C stops them. For trying out and developing."""
    settings = read_settings()
    write("Starting Ringpost")  # what is imported next takes seconds on a slow machine
    from ringpost.up import run_up

    run_up(settings)


@app.command(epilog=example("RINGPOST_HTTP_HOST=0.0.0.0 ringpost api"))
def api(stage: Stage = False) -> None:
    """Serve HTTP and WebSocket until Ctrl-C or SIGTERM."""
    from ringpost.processes import run_api

    run_api(read_settings(), stage)


@app.command(epilog=example("ringpost worker inbox", "ringpost worker all"))
def worker(name: Annotated[str, typer.Argument(help="inbox, push, relay or all")]) -> None:
    """Run one worker, or all of them in one process, until Ctrl-C or SIGTERM."""
    from ringpost.processes import WORKERS, run_workers

    if name not in (*WORKERS, "all"):
        raise UsageError(f"There is no worker {name}; there are {', '.join(WORKERS)} and all.")
    run_workers(read_settings(), list(WORKERS) if name == "all" else [name])


@app.command(
    epilog=example(
        "ringpost token ann phone --create-user", "export RINGPOST_TOKEN=$(ringpost token ann phone)"
    )
)
def token(
    user: Annotated[str, typer.Argument(help="The id of the user.")],
    device: Annotated[str, typer.Argument(help="The id of the device: the user's own name for it.")],
    create_user: Annotated[
        bool, typer.Option("--create-user", help="Create the user if there is none.")
    ] = False,
    expires_in_s: Annotated[int | None, typer.Option(help="Seconds until the token expires.")] = None,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Print a token for a device. Needs RINGPOST_ADMIN_KEY, or the data folder that holds it."""
    from infra.keys import find_admin_key

    url = api_url(url)
    client = Api(url, find_admin_key(read_settings().auth), timeout_s)
    with progress(f"Asking {url}"):
        if create_user:
            client.call("PUT", user_path(user), {})
        asked: dict[str, Any] = {"user_id": user, "device_id": device}
        if expires_in_s is not None:
            asked["expires_in_s"] = expires_in_s
        made = client.call("POST", "/v1/tokens", asked).get("token")
    if not isinstance(made, str) or not made.isascii() or not made.isprintable():
        raise ApiError(f"{url} answers, but without a token: is it Ringpost (--url, or RINGPOST_URL)?")
    write(made)


@app.command(
    epilog=example(
        "ringpost send 'Hello Bob' --to bob",
        "ringpost send 'Noon?' --conversation g:3f2a… --mention bob --mention cem",
        "ringpost send 'At noon' --reply-to d:ann:bob:3",
    )
)
def send(  # noqa: PLR0913 - each is an option of the command
    text: Annotated[
        str, typer.Argument(help="The text of the message. Put -- in front of one that begins with -.")
    ],
    token: Token,
    to: Annotated[str | None, typer.Option(help="The user who receives it.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Or the conversation that it goes to.")] = None,
    reply_to: Annotated[
        str | None,
        typer.Option(help="The message that this one answers. Its conversation need not be given."),
    ] = None,
    mention: Annotated[
        list[str] | None, typer.Option(help="A member whom it mentions, or all; may be repeated.")
    ] = None,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Send a text to a user or into a conversation; print the answer as JSON."""
    quotes: dict[str, object] = {}
    if reply_to is not None:
        place, quotes["reply_to"] = conversation_of(reply_to), reply_to
        conversation = place if to is None and conversation is None else conversation
    if mention:
        quotes["mentions"] = "all" if "all" in mention else mention
    if (to is None) == (conversation is None):
        raise UsageError("Say where the message goes: give --to USER or --conversation ID.")
    client = Api(api_url(url), token, timeout_s)
    with progress(f"Sending to {client.url}"):
        answer = client.send(text, to, conversation, **quotes)
    write(json_line(answer))


@app.command(epilog=example("ringpost pull", "ringpost pull --cursor 12 --wait-s 30"))
def pull(
    token: Token,
    cursor: Annotated[int, typer.Option(help="Entries after this number; 0 is the beginning.")] = 0,
    limit: Annotated[int, typer.Option(help="The most entries, 1 to 200.", min=1, max=200)] = 100,
    wait_s: Annotated[
        float, typer.Option(help="The most seconds to wait for an entry, 0 to 60.", min=0, max=60)
    ] = 0,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Print the entries after a cursor as JSON."""
    client = Api(api_url(url), token, timeout_s)
    query = f"/v1/sync?cursor={cursor}&limit={limit}&wait_s={wait_s}"
    with progress(f"Waiting for {client.url}"):
        page = client.call("GET", query, wait_s=wait_s, needs={"entries": list, "head": int})
    write(json_line(page))


@app.command(
    epilog=example(
        "ringpost listen", "ringpost listen --cursor 0 --no-ack | head -3", "ringpost listen --json"
    )
)
def listen(
    token: Token,
    cursor: Annotated[int | None, typer.Option(help="Begin here, not at the device's own cursor.")] = None,
    ack: Annotated[bool, typer.Option(help="Move the device's own cursor behind what was printed.")] = True,
    as_json: Json = False,
    url: Url = None,
    timeout_s: Timeout = TIMEOUT_S,
) -> None:
    """Be a live device: print each entry as a line, each once, in order, until Ctrl-C.

    A line begins with the number of the entry and its type. Texts stand in quotes. With --json it is the
    entry as it came. The state of the connection goes to stderr.
    """
    from ringpost.line import line_of
    from ringpost.listener import Listener

    line = json_line if as_json else line_of
    client = Api(api_url(url), token, timeout_s)
    listener = Listener(client, cursor, lambda entry: write(line(entry)), remark, ack)
    asyncio.run(_until_told(listener.run()))


app.registered_commands.extend(changes.registered_commands)


async def _until_told(running: Any) -> None:
    """Run until Ctrl-C or SIGTERM, which are its usual end. OutputLost when nobody reads the output."""
    task = asyncio.create_task(running)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    watching = asyncio.create_task(watch_reader())
    try:
        await asyncio.wait({task, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        await ended([task, watching])


@app.command(
    epilog=example(
        "ringpost doctor",
        "ringpost doctor --worker http://10.0.0.7:9101 --worker http://10.0.0.8:9101",
        "ringpost doctor --deep",
    )
)
def doctor(
    url: UrlBySettings = None,
    worker: Annotated[
        list[str] | None,
        typer.Option(help="The address of a worker that is to be asked too; may be repeated."),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="Look at the engines only, with the rights of this part: "
            "api, inbox, push, relay or topics; may be repeated."
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Instead, read the whole database and check that it fits together: "
            "docs/backup.md says what it finds.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare that database with this one: its address, or a file that holds it. "
            "Only this finds a text that was changed together with its hash."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at the engines, the API and the workers, and say what to do. Exit code 1 if something is wrong."""
    from ringpost.doctor import examine
    from ringpost.rights import known_parts

    if deep or against is not None:
        from ringpost.compare import check_deep

        raise typer.Exit(0 if check_deep(settings_with_engines().mongo, against, as_json) else 1)
    settings = settings_with_engines("mongo", "kafka", "redis")
    address = checked_url(api_url_by_settings(url, settings))
    workers = [checked_url(one) for one in worker or ()]
    with progress("Asking MongoDB, Redis, Kafka, the API and the workers"):
        findings = asyncio.run(examine(settings, address, known_parts(part or ()), workers))
    show([asdict(one) for one in findings], as_json, Text("\n").join(one.coloured() for one in findings))
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(
    context_settings=PASSED_ON,
    epilog=example("ringpost bench --only 500 --seconds 30", "ringpost bench --runs 5 --plot figures.svg"),
)
def bench(context: typer.Context) -> None:
    """Measure a running Ringpost (in a checkout of the repository)."""
    _run_program("benchmarks/load.py", context.args)


@app.command(
    context_settings=PASSED_ON,
    epilog=example(
        "ringpost torture --seconds 300", "ringpost torture --mode kill,redis --seed 7 --report /tmp/torture"
    ),
)
def torture(context: typer.Context) -> None:
    """Break a Ringpost of its own in every way, and check that nothing is lost (in a checkout)."""
    _run_program("tests/torture/__main__.py", context.args)


def _run_program(program: str, arguments: list[str]) -> None:
    """Run a program of the repository to its exit. UsageError without the repository or its tools."""
    root = Path(__file__).parent.parent
    if not (root / program).exists():
        raise UsageError(f"This command needs {program}: run it from a checkout of the repository.")
    module = program.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This command needs the developers' tools, and {error.name} is missing: run `make install-dev`."
        ) from None
