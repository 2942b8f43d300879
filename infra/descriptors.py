"""File descriptors: as many as the system allows, and a part of them kept back."""

from __future__ import annotations

import resource
from contextlib import suppress

MOST = 1_048_576
"""The most files to ask for. Some programs look at every descriptor that they might have."""

RESERVED = 280
"""Descriptors that clients do not get: for engines, for operators, and for answers to refused clients."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children.

    Returns how many files the process may have open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return open_files()


def open_files() -> int:
    """How many files the process may have open, at most `MOST`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)


def connections_of(files: int) -> int:
    """How many connections of clients a process with so many files can hold."""
    return max(files - RESERVED, files // 4)
