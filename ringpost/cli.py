"""The `ringpost` command.

What a command needs is imported when it runs: those that only ask the API start without the drivers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import RingpostError
from infra.keys import load_keys
from infra.local.process import LocalEngineError
from infra.settings import SettingsError, load_settings
from ringpost.http import Api, ApiError
from ringpost.output import Json, show
from ringpost.topics import topics

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Messaging that loses nothing.")
app.add_typer(topics, name="topics")

Url = Annotated[str, typer.Option(envvar="RINGPOST_URL", help="Where the API is.")]
Token = Annotated[str, typer.Option(envvar="RINGPOST_TOKEN", help="A device's token.")]
HERE = "http://127.0.0.1:8080"


def main() -> None:
    """Entry point: what goes wrong is one sentence on stderr, and exit code 1."""
    try:
        app()
    except (SettingsError, LocalEngineError, RingpostError, ApiError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


@app.command()
def up() -> None:
    """Start the engines and every part; Ctrl-C stops them. For trying out and developing."""
    from ringpost.up import run_up

    run_up(load_settings())


@app.command()
def api() -> None:
    """Serve HTTP and WebSocket."""
    from ringpost.processes import run_api

    run_api(load_settings())


@app.command()
def worker(name: Annotated[str, typer.Argument(help="inbox, push, relay or all")]) -> None:
    """Run one worker, or all of them in one process."""
    from ringpost.processes import WORKERS, run_workers

    run_workers(load_settings(), list(WORKERS) if name == "all" else [name])


@app.command()
def token(
    user: str,
    device: str,
    create_user: Annotated[bool, typer.Option(help="Create the user if need be.")] = False,
    expires_in_s: int | None = None,
    url: Url = HERE,
) -> None:
    """Mint a token for a device. Needs RINGPOST_ADMIN_KEY, or the data folder that holds it."""
    client = Api(url, load_keys(load_settings().auth).admin)
    if create_user:
        client.call("PUT", f"/v1/users/{user}", {})
    asked: dict[str, Any] = {"user_id": user, "device_id": device}
    if expires_in_s is not None:
        asked["expires_in_s"] = expires_in_s
    typer.echo(client.call("POST", "/v1/tokens", asked)["token"])


@app.command()
def send(
    text: str, token: Token, to: str | None = None, conversation: str | None = None, url: Url = HERE
) -> None:
    """Send a text to a user or into a conversation; prints the answer."""
    typer.echo(json.dumps(Api(url, token).send(text, to, conversation)))


@app.command()
def pull(token: Token, cursor: int = 0, limit: int = 100, wait_s: float = 0, url: Url = HERE) -> None:
    """What came after a cursor, as JSON."""
    query = f"/v1/sync?cursor={cursor}&limit={limit}&wait_s={wait_s}"
    typer.echo(json.dumps(Api(url, token).call("GET", query)))


@app.command()
def listen(
    token: Token,
    cursor: Annotated[int | None, typer.Option(help="Begin here, not at the device's own cursor.")] = None,
    url: Url = HERE,
) -> None:
    """A live device in the terminal: prints each entry as a line of JSON, each once, in order."""
    try:
        asyncio.run(Api(url, token).listen(cursor, typer.echo))
    except KeyboardInterrupt:
        return


@app.command()
def doctor(as_json: Json = False) -> None:
    """Are the engines there, the indexes, the topics? Says what to do. Exit code 1 if something is wrong."""
    from ringpost.doctor import examine

    settings = load_settings()
    settings.need_engines()
    findings = asyncio.run(examine(settings))
    show([asdict(one) for one in findings], as_json, "\n".join(str(one) for one in findings))
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure a running Ringpost (in a checkout of the repository; --help for the options)."""
    root = _checkout("benchmarks/load.py")
    os.environ.setdefault("RINGPOST_ADMIN_KEY", load_keys(load_settings().auth).admin)
    _become(root, "benchmarks.load", context.args)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def torture(context: typer.Context) -> None:
    """Break a Ringpost of its own in every way, and check that nothing is lost (in a checkout; --help)."""
    _become(_checkout("tests/torture/__main__.py"), "tests.torture", context.args)


def _checkout(needed: str) -> Path:
    """The folder of the repository; SettingsError where this is installed without it."""
    root = Path(__file__).parent.parent
    if not (root / needed).exists():
        raise SettingsError(f"This command needs {needed}: run it from a checkout of the repository.")
    return root


def _become(root: Path, module: str, arguments: list[str]) -> None:
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
