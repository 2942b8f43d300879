"""Structured log lines: an event in plain words, and its fields. They hold ids, never bodies or secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from infra.settings import LogSettings

_SECRET = re.compile(r"key|token|secret|password|authorization|body", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+@")


def _nothing(_logger: Any, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


structlog.configure(processors=[_nothing])
"""Until `configure_logs` no line is written: a command says itself what it finds."""


def hide_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Hides fields that are named like a secret, and passwords in URLs."""
    for name, value in event.items():
        if _SECRET.search(name):
            event[name] = "(hidden)"
        elif isinstance(value, str) and "://" in value:
            event[name] = _URL_PASSWORD.sub(r"\1(hidden)@", value)
    return event


def configure_logs(settings: LogSettings, part: str) -> None:
    """Called once per process, by its entry point. Lines go to stderr, each with the name of the part."""
    level = logging.getLevelName(settings.level.upper())
    on_terminal = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(part=part)
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[*first, structlog.stdlib.add_logger_name, _named(part)],
        )
    )
    of_libraries.addFilter(_is_not_of_a_producer_left)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[of_libraries])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every retry; we report what matters


def _named(part: str) -> Any:
    """Adds the name of the part, which is not bound in the threads of libraries."""

    def name(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "part": part}

    return name


def _is_not_of_a_producer_left(record: logging.LogRecord) -> bool:
    """Hides what asyncio reports of a producer that was replaced. The results of its tasks are not awaited,
    and asyncio would report each of them. The replacement itself is logged where it happens.
    """
    if record.name != "asyncio" or not record.exc_info or record.exc_info[1] is None:
        return True
    error, where = record.exc_info[1], record.exc_info[2]
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    of = where.tb_frame.f_globals.get("__name__", "") if where is not None else ""
    return not (type(error).__module__.startswith("aiokafka.") or of.startswith("aiokafka."))


def logger() -> Any:
    """The process's logger; usable before `configure_logs`."""
    return structlog.get_logger()
