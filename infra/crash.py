"""Points at which a process can be told to die. Tests use them to show that no death loses anything.

`RINGPOST_DEBUG_CRASH_AT=stored` kills the process (SIGKILL) when it first reaches the point `stored`.
`stored:3` kills it at the third time.
"""

from __future__ import annotations

import os
import re
import signal

from infra.settings import DebugSettings, SettingsError

POINTS = {
    "numbered": "numbers taken, nothing stored yet",
    "stored": "messages and their outbox row stored, sender not answered, nothing spread",
    "changed": "changes are stored and in effect, nothing spread",
    "publishing": "about to hand a row's records to Kafka",
    "published": "Kafka has confirmed a row's records",
    "removing": "about to remove outbox rows that passed the barrier",
    "adopted": "the relay has taken rows over, nothing spread",
    "relayed": "Kafka has confirmed what the relay spread, the rows are not marked",
    "timeline": "entries are in the timelines, not in the rings",
    "replacing": "new entries are in the rings, content that was edited or recalled still is, too",
    "ring": "entries are in the rings, not on `arrivals`",
    "arrivals": "`arrivals` are handed to Kafka, no offset committed",
    "committing": "about to commit offsets",
    "pushing": "gateways are looked up, nothing is told them",
    "pushed": "gateways are told, no offset committed",
    "change-begun": "a change of members is pending, without a seq",
    "owner-left": "the owner has left a group, nobody has taken it over",
    "change-counted": "the version of the member list is raised, the change has no seq",
}

_armed: dict[str, int] = {}


def arm(settings: DebugSettings) -> None:
    """Once per process, from its entry point. SettingsError for a point that does not exist."""
    _armed.clear()
    if not settings.crash_at:
        return
    point, _, times = settings.crash_at.partition(":")
    if point not in POINTS or not re.fullmatch("[0-9]{0,9}", times):
        raise SettingsError(
            f"RINGPOST_DEBUG_CRASH_AT must be one of {', '.join(POINTS)}. "
            "Add `:3` to it for the third time that the process is there."
        )
    _armed[point] = int(times or 1)


def crash_point(name: str) -> None:
    """Die here if the settings say so."""
    if _armed and name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
