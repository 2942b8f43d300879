"""Options that several commands of `ringpost` have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringpost.running import HERE


def _address(otherwise: str) -> Any:
    """The option `--url`. Its help says what counts without it and without a running `ringpost up`."""
    usual = f"by default that of a running `ringpost up`, {otherwise}"
    return typer.Option(envvar="RINGPOST_URL", help=f"The address of the API; {usual}.")


Url = Annotated[str | None, _address(f"else {HERE}")]
UrlBySettings = Annotated[str | None, _address("or of the settings")]
Token = Annotated[str, typer.Option(envvar="RINGPOST_TOKEN", help="The token of a device.")]
Timeout = Annotated[
    float,
    typer.Option(envvar="RINGPOST_TIMEOUT_S", min=0.1, help="The most seconds to wait for an answer."),
]
