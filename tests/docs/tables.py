"""The parts of the documentation that are made from the code: `python -m tests.docs.tables` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus_client import Gauge, Histogram
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.app import VERSION
from api.asyncapi import describe_events
from infra.settings import PARTS
from infra.telemetry.duties import DUTIES
from infra.telemetry.names import CATALOGUE
from infra.wording import is_secret
from tests.docs.cli_page import cli_page
from tests.docs.rights import with_rights

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
METRICS = ROOT / "docs" / "metrics.md"
CLI = ROOT / "docs" / "cli.md"
SETTINGS = ROOT / "docs" / "settings.md"
SECURITY = ROOT / "docs" / "security.md"
SAMPLE = ROOT / "docs" / "ringpost.toml"
ASYNCAPI = ROOT / "docs" / "asyncapi.json"
PRODUCTION = ROOT / "docs" / "production.md"
READINESS_BEGIN = "<!-- readiness: made by `python -m tests.docs.tables`, checked by tests/docs -->\n"
READINESS_END = "<!-- /readiness -->\n"
SETTINGS_HEAD = """# Settings

Each process reads its settings once, when it starts. A setting is an environment variable, or a line of
a TOML file. The variable `RINGPOST_CONFIG` names the file. The environment wins over the file.

In the file, `RINGPOST_RING_CAPACITY` is `capacity` in the table `[ring]`. The sample file
[ringpost.toml](ringpost.toml) has every setting with its default. Copy it and change what you need.

A secret may come from a file of its own. `RINGPOST_ADMIN_KEY_FILE=/run/secrets/admin_key` stands for
`RINGPOST_ADMIN_KEY`, and `admin_key_file` in `[auth]` does the same in the settings file. The end of the
line is left out. An empty variable of a secret counts as absent. The tables name such settings
with "or `…_FILE`".

A variable `RINGPOST_…` or a line that names no setting is an error at start, with the nearest name. So is a
value that a setting cannot take.

Give the addresses of MongoDB, Kafka and Redis to every process. Only `ringpost up` and `make up` can do
without: they start an engine of their own for each address that is absent.

This page and the sample file are made from `infra/settings.py` by `python -m tests.docs.tables`.
"""
SAMPLE_HEAD = """# Settings of Ringpost, each with its default. RINGPOST_CONFIG names the file:
#   RINGPOST_CONFIG=ringpost.toml ringpost api
# Remove the "#" in front of a setting to change it. An environment variable wins over this file.
# Made from infra/settings.py by `python -m tests.docs.tables`.
"""
METRICS_HEAD = """# Metrics

Every process serves these at `/metrics`, in the Prometheus text format. The API serves them at its own
address, or at its admin port if it has one (`RINGPOST_HTTP_ADMIN_PORT`). A worker serves them at
`RINGPOST_WORKER_HOST`:`RINGPOST_WORKER_PORT`. The answer takes up to 3 s while an engine is silent, because
it asks the engines.

Each process counts only what it does itself, and its other metrics stay at 0. Add the numbers of all
processes. Counters begin at 0 when a process starts. This page is made from the catalogue in
`infra/telemetry/names.py`.

| name | kind | labels | meaning |
|---|---|---|---|
"""
METRICS_TAIL = """
Set an alarm for each of these:

* `ringpost_dead_letters_total` rises.
* `ringpost_lag` grows and does not come back. The relay measures it, so it also grows while no worker
  runs. Several relays measure the same lag: take the largest, `max by (group) (ringpost_lag)`.
* `ringpost_up` is absent for a part, or counts fewer processes than you run: `sum by (part) (ringpost_up)`.
  Watch `relay` most of all: without it nobody measures the lag.
* `ringpost_ready` is 0 for minutes: the part cannot do its job.
* `ringpost_degraded` is 1 for minutes: an engine is away, and the part goes on without it or waits.
* `ringpost_outbox_rows` stays above what a few seconds of sending leave behind.
* `ringpost_retries_total` rises for minutes: an engine is away.
* The 99th percentile of `ringpost_send_seconds` leaves its usual range.
"""


def settings_page() -> str:
    """The whole of docs/settings.md: a table for each part."""
    return SETTINGS_HEAD + "".join(_settings_of(name) for name in PARTS)


def _settings_of(part_name: str) -> str:
    part = PARTS[part_name]
    prefix = part.model_config.get("env_prefix", "")
    rows = [f"\n## [{part_name}]\n", "| variable | default | what it is |", "|---|---|---|"]
    rows += [
        f"| `{(prefix + name).upper()}`{' or `…_FILE`' if is_secret(field) else ''} | {_default(field)} "
        f"| {_cell(field.description or '')} |"
        for name, field in part.model_fields.items()
    ]
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    text = _plain(field.default)
    return f"`{text}`" if text not in ("", None, []) else ""


def _plain(value: object) -> object:
    """A default as the file may hold it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def sample() -> str:
    """The whole of docs/ringpost.toml: every setting, as a comment."""
    return SAMPLE_HEAD + "".join(_sample_of(name) for name in PARTS)


def _sample_of(part_name: str) -> str:
    lines = [f"\n[{part_name}]"]
    for name, field in PARTS[part_name].model_fields.items():
        value = _plain(field.default)
        lines.append(f"# {field.description}")
        lines.append(f"#{name} = {json.dumps(value)}" if value is not None else f"#{name} has no default")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def readiness_table() -> str:
    """One row for each part: when it is ready, and what it does while an engine is away."""
    names = {"mongo": "MongoDB", "kafka": "Kafka", "redis": "Redis"}
    rows = [
        "| part | ready while these answer | "
        + " | ".join(f"without {name}" for name in names.values())
        + " |",
        "|---|---|---|---|---|",
    ]
    for part, duty in DUTIES.items():
        needs = " or ".join(
            " and ".join(name for engine, name in names.items() if engine in group) for group in duty.needs
        )
        effects = " | ".join(duty.without.get(engine, "Nothing changes.") for engine in names)
        rows.append(f"| `{part}` {duty.job} | {needs} | {effects} |")
    return "\n".join(rows) + "\n"


def production_page() -> str:
    """Returns docs/production.md with a new table of readiness."""
    before, _, rest = PRODUCTION.read_text().partition(READINESS_BEGIN)
    return before + READINESS_BEGIN + readiness_table() + READINESS_END + rest.partition(READINESS_END)[2]


def metrics_page() -> str:
    """The whole of docs/metrics.md."""
    return METRICS_HEAD + "".join(_metric(metric) for metric in CATALOGUE.values()) + METRICS_TAIL


def _metric(metric: object) -> str:
    description = next(iter(metric.collect()))  # type: ignore[attr-defined]
    names = metric._labelnames  # type: ignore[attr-defined]  # noqa: SLF001 - a description has none
    labels = ", ".join(f"`{name}`" for name in names)
    kind = type(metric).__name__.lower()
    suffix = "" if isinstance(metric, Gauge | Histogram) else "_total"
    return f"| `{description.name}{suffix}` | {kind} | {labels} | {_cell(description.documentation)} |\n"


def security_page() -> str:
    """docs/security.md with the commands that give each part its rights."""
    return with_rights(SECURITY.read_text())


def asyncapi() -> str:
    """The whole of docs/asyncapi.json."""
    return json.dumps(describe_events(VERSION), indent=1, ensure_ascii=False) + "\n"


MADE = {
    SETTINGS: settings_page,
    SAMPLE: sample,
    METRICS: metrics_page,
    PRODUCTION: production_page,
    SECURITY: security_page,
    CLI: cli_page,
    ASYNCAPI: asyncapi,
}
"""What makes the whole of a file."""


def main() -> None:
    for path, made in MADE.items():
        path.write_text(made())


if __name__ == "__main__":
    main()
