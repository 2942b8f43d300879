"""The parts of the documentation that are made from the code: `python -m tests.docs.tables` writes them."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import Gauge, Histogram
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from infra.settings import PARTS
from infra.telemetry.names import CATALOGUE

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
METRICS = ROOT / "docs" / "metrics.md"
BEGIN = "<!-- settings: made by `python -m tests.docs.tables`, checked by tests/docs -->\n"
END = "<!-- /settings -->\n"
METRICS_HEAD = """# Metrics

Every process serves these at `/metrics`, in the Prometheus text format: the API at its own address, a
worker at `RINGPOST_WORKER_HOST`:`RINGPOST_WORKER_PORT`. Each process counts what it does itself, and the
rest stays at 0: add up over processes. Counters begin at 0 when a process starts. This page is made from
the catalogue in `infra/telemetry/names.py`.

| name | kind | labels | meaning |
|---|---|---|---|
"""
METRICS_TAIL = """
Worth an alarm: `ringpost_dead_letters_total` rises; `ringpost_lag` grows and does not come back;
`ringpost_outbox_rows` stays above what a few seconds of sending leave behind; `ringpost_retries_total`
rises for minutes (an engine is away); the 99th percentile of `ringpost_send_seconds` leaves its usual
place.
"""


def settings_table() -> str:
    """One row for each variable, in the order of the parts."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for part in PARTS.values():
        prefix = part.model_config.get("env_prefix", "")
        rows += [
            f"| `{(prefix + name).upper()}` | {_default(field)} | {_cell(field.description or '')} |"
            for name, field in part.model_fields.items()
        ]
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def metrics_page() -> str:
    """The whole of docs/metrics.md."""
    return METRICS_HEAD + "".join(_metric(metric) for metric in CATALOGUE.values()) + METRICS_TAIL


def _metric(metric: object) -> str:
    description = next(iter(metric.collect()))  # type: ignore[attr-defined]
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # type: ignore[attr-defined]
    kind = type(metric).__name__.lower()
    suffix = "" if isinstance(metric, Gauge | Histogram) else "_total"
    return f"| `{description.name}{suffix}` | {kind} | {labels} | {_cell(description.documentation)} |\n"


def with_settings(readme: str) -> str:
    """README with its table made anew."""
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + settings_table() + END + rest.partition(END)[2]


def main() -> None:
    README.write_text(with_settings(README.read_text()))
    METRICS.write_text(metrics_page())


if __name__ == "__main__":
    main()
