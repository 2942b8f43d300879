"""What a command says: text for a person, JSON for a machine."""

from __future__ import annotations

import json
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def show(value: object, as_json: bool, text: str) -> None:
    """One of the two."""
    typer.echo(json.dumps(value) if as_json else text)
