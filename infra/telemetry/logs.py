"""Structured log lines: an event in plain words and its fields. Ids, never bodies, never secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from infra.settings import LogSettings

_SECRET = re.compile(r"key|token|secret|password|authorization|body", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@")


def hide_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Fields named like a secret and passwords in URLs are not written."""
    for name, value in event.items():
        if _SECRET.search(name):
            event[name] = "(hidden)"
        elif isinstance(value, str) and "://" in value:
            event[name] = _URL_PASSWORD.sub(r"\1(hidden)@", value)
    return event


def configure_logs(settings: LogSettings, part: str) -> None:
    """Once per process, from its entry point: lines to stderr, each with the name of the part."""
    level = logging.getLevelName(settings.level.upper())
    on_terminal = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(part=part)
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every retry; we report what matters


def logger() -> Any:
    """The process's logger; usable before `configure_logs`."""
    return structlog.get_logger()
