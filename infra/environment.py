"""Settings that are not plain values: secrets in files. Also names that belong to no setting."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

PREFIX = "RINGPOST_"
FILE = "_FILE"
OTHERS = ("RINGPOST_CONFIG", "RINGPOST_URL", "RINGPOST_TOKEN", "RINGPOST_TIMEOUT_S")
"""Variables that are no settings of the server: the settings file, and options of client commands."""

_TESTS = "RINGPOST_TEST_"
_KUBERNETES = re.compile(
    r"RINGPOST_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """A setting is missing or wrong. The message says which, and what to do."""


def refuse_unknown(known: Collection[str], environment: Mapping[str, str] = os.environ) -> None:
    """SettingsError for a variable `RINGPOST_…` that nothing reads, with the nearest name that exists.

    It ignores variables that Kubernetes sets for a Service of such a name.
    """
    for name, value in environment.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known or name in OTHERS or upper.startswith(_TESTS):
            continue
        if _KUBERNETES.fullmatch(upper) or (upper.endswith("_PORT") and _KUBERNETES_PORT.match(value)):
            continue
        raise SettingsError(f"There is no setting {name}.{nearest(upper, [*known, *OTHERS])}")


def nearest(name: str, known: Collection[str]) -> str:
    """A question to add to a sentence. Empty if no name is alike."""
    bare = {one.removeprefix(PREFIX): one for one in known}  # what all have in common makes nothing alike
    found = get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.75)
    return f" Did you mean {bare[found[0]]}?" if found else ""


def secret_of_environment(variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The content of the file that `RINGPOST_…_FILE` names, else None. SettingsError if both are set.

    An empty variable is not set.
    """
    path = _in_any_case(variable + FILE, environment)
    if not path:
        return None
    if _in_any_case(variable, environment):
        raise SettingsError(f"Set {variable} or {variable}{FILE}, not both.")
    return secret_in(path, variable + FILE)


def _in_any_case(variable: str, environment: Mapping[str, str]) -> str:
    """As `ringpost_…` too, which all settings may be written as. Empty if it is not set."""
    return next((value for name, value in environment.items() if name.upper() == variable and value), "")


def secrets_of_table(table: Mapping[str, Any], secrets: Collection[str], where: str) -> dict[str, Any]:
    """The table of a settings file with each `…_file` of a secret replaced by what that file holds."""
    whole = dict(table)
    for name in secrets:
        path = whole.pop(f"{name}_file", "")
        if path and whole.get(name):
            raise SettingsError(f"Set {name} or {name}_file in {where}, not both.")
        if path:
            whole[name] = secret_in(str(path), f"{name}_file in {where}")
    return whole


def secret_in(path: str, setting: str) -> str:
    """The text of a file without the end of its line."""
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{setting} names {path}, which cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{setting} names {path}, which is no text in UTF-8.") from None
    if not text:
        raise SettingsError(f"{setting} names {path}, which is empty.")
    return text
